"""Statistics of single maps, which need no second map to compare with."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

NUMERICALLY_ZERO = 1e-6  # relative to a map's largest value: rounding error of an exact zero


def map_statistics(raw: Tensor) -> dict[str, Tensor]:
    """Statistics (n,) float64 by name for each of n raw signed attributions (n, c, h, w).

    With a = the absolute values, summed over channels, of the p = h w pixels:

    - `entropy`: of a / sum(a), divided by log p. 1 if all pixels are equal, 0 if one has all.
    - `gini`: of a. 0 if all pixels are equal, towards 1 if few have all.
    - `zeros`: share of pixels with a = 0 (up to rounding).
    - `norm`: root of the sum of the squared attributions; the only one that depends on scale.

    NaN for a map that is not finite; a map of zeros has NaN entropy and Gini index.

    Source: entropy and Gini index of maps: Chalasani et al., Concise Explanations, 2020; zeros as a
    sign of out-of-distribution inputs: Chen et al., GAIA, NeurIPS 2023.
    """
    raw = raw.detach()
    if raw.device.type == "mps":  # which has no float64
        raw = raw.cpu()
    flat = raw.double().flatten(2)
    broken = ~flat.isfinite().all(2).all(1)
    size = flat.abs().sum(1)
    return {
        name: statistic(flat, size).masked_fill(broken, torch.nan)
        for name, statistic in STATISTICS.items()
    }


def _entropy(flat: Tensor, size: Tensor) -> Tensor:
    share = size / size.sum(1, keepdim=True)  # NaN for a map of zeros
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
