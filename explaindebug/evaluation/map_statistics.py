"""What a map looks like in one number, without a second map to compare it with."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

NUMERICALLY_ZERO = 1e-6  # of a map's largest value: what rounding leaves of an exact zero


def map_statistics(raw: Tensor) -> dict[str, Tensor]:
    """Statistics (n,) float64 by name of raw signed attributions (n, c, h, w), each by itself.

    With a = the absolute values, summed over channels, of the p = h w pixels:

    - `entropy`: of a / sum(a), over log p. 1 where all pixels count alike, 0 where one has all.
    - `gini`: of a. 0 where all pixels count alike, towards 1 where few have all.
    - `zeros`: share of pixels with a = 0 (up to rounding).
    - `norm`: root of the sum of the squared attributions; the only one that a scale changes.

    NaN for a map that is not finite; of a map of zeros there is no entropy and no Gini index.

    Source: entropy and Gini index of maps: Chalasani et al., Concise Explanations, 2020; zeros as a
    sign of foreign inputs: Chen et al., GAIA, NeurIPS 2023.
    """
    raw = raw.detach()
    flat = (raw.cpu() if raw.device.type == "mps" else raw).double().flatten(2)  # it has no float64
    broken = ~flat.isfinite().all(2).all(1)
    size = flat.abs().sum(1)
    return {
        name: statistic(flat, size).masked_fill(broken, torch.nan)
        for name, statistic in STATISTICS.items()
    }


def _entropy(flat: Tensor, size: Tensor) -> Tensor:
    share = size / size.sum(1, keepdim=True)  # 0 / 0 is NaN: there is none
    nats: Tensor = torch.special.entr(share).sum(1)
    return nats / math.log(size.shape[1])


def _gini(flat: Tensor, size: Tensor) -> Tensor:
    """1 - 2 x the area below the Lorenz curve."""
    pixels = size.shape[1]
    rank = torch.arange(1, pixels + 1, device=size.device).double()
    weight = (2 * rank - pixels - 1) / pixels
    return (size.sort(1).values * weight).sum(1) / size.sum(1)


def _zeros(flat: Tensor, size: Tensor) -> Tensor:
    return (size <= NUMERICALLY_ZERO * size.amax(1, keepdim=True)).double().mean(1)


def _norm(flat: Tensor, size: Tensor) -> Tensor:
    return flat.square().sum((1, 2)).sqrt()


STATISTICS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "entropy": _entropy,
    "gini": _gini,
    "zeros": _zeros,
    "norm": _norm,
}
