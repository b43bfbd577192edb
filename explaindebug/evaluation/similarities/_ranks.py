"""Exact ranks with ties at their mean rank, for many maps at once."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """Ranks (n, p) float64 from 1 to p of each row of values (n, p); ties get their mean rank.

    Equal to `scipy.stats.rankdata(values, axis=1)` for finite values, in O(p log p) per row.
    """
    if values.device.type == "cpu" and values.dtype == torch.float32:
        return _packed_ranks(values)
    return _sorted_ranks(values)


def _sorted_ranks(values: Tensor) -> Tensor:
    n, p = values.shape
    ordered, places = values.sort(dim=1)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = starts.flatten().cumsum(0) - 1  # which run of equal values, counted over all rows
    length = torch.bincount(run)
    middle = length.cumsum(0) - (length - 1).double() / 2
    rank = middle[run].view(n, p) - p * torch.arange(n, device=values.device)[:, None]
    return torch.empty(n, p, dtype=torch.float64, device=values.device).scatter_(1, places, rank)


def _packed_ranks(values: Tensor) -> Tensor:
    """The same for float32 on the CPU: value and place in one integer sort twice as fast."""
    n, p = values.shape
    keys = _ascending(values.detach().numpy())
    packed = (keys.astype(np.uint64) << np.uint64(32)) | np.arange(p, dtype=np.uint64)
    packed.sort(axis=1)
    ranked = np.empty((n, p))
    for row, out in zip(packed, ranked, strict=True):
        places, keys = row.astype(np.uint32), (row >> np.uint64(32)).astype(np.uint32)
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        ends = np.append(starts[1:], p)
        out[places] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return torch.from_numpy(ranked)


def _ascending(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Unsigned integers in the order of the floats: sign bit flipped, negatives inverted."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0.0 + 0 = 0.0: both zeros are equal
    negative = bits >> np.uint32(31) == 1
    return bits ^ np.where(negative, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
