"""Structural similarity. Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, TIP 2004."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from explaindebug.errors import ConfigError
from explaindebug.postprocessing import PostProcessing
from explaindebug.similarities.similarity import SIMILARITIES, Similarity

RADIUS = 5  # 11 x 11 windows
SIGMA = 1.5
UNBIASED = 121 / 120  # sample covariance of a window's values


class Windows(NamedTuple):
    """Maps with the mean and the variance of each of their windows."""

    maps: Tensor  # (n, k, h, w)
    mean: Tensor  # (n, k, h - 10, w - 10)
    variance: Tensor  # (n, k, h - 10, w - 10)
    data_range: float


@SIMILARITIES.register("ssim")
@dataclass(frozen=True)
class SSIM(Similarity):
    """Mean over windows, then channels, of luminance x contrast x structure.

    (2 ma mb + C1)(2 cov + C2) / ((ma² + mb² + C1)(va + vb + C2)) with C1 = (0.01 L)²,
    C2 = (0.03 L)², L the data range; two-dimensional per channel, Gaussian windows 11 x 11 with
    sigma 1.5, sample covariance, only windows that lie inside the map. Computed in the maps' own
    precision: float32 is off by up to 1e-7.

    Equal to scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, data_range=L)`.
    Flat regions count as alike: read it next to its nulls. Two equal constant maps give 1.

    Raises:
        ConfigError: without a data range, or where a window doesn't fit into the map.
    """

    lowest: ClassVar[float] = -1.0
    highest: ClassVar[float] = 1.0

    def postprocessing(self, run: PostProcessing) -> PostProcessing:
        view = super().postprocessing(run)
        _known(view.data_range)
        return view

    def prepare(self, maps: Tensor, data_range: float | None) -> Windows:
        h, w = maps.shape[-2:]
        data_range = _known(data_range)
        if min(h, w) <= 2 * RADIUS:
            raise ConfigError(
                f"SSIM looks at 11 x 11 pixels at a time, the maps have {h} x {w}. Use larger "
                "images, or another similarity (spearman)."
            )
        mean = blur(maps)
        return Windows(maps, mean, UNBIASED * (blur(maps * maps) - mean * mean), data_range)

    def compare(self, reference: Windows, candidate: Windows) -> Tensor:
        a, b = reference, candidate
        c1, c2 = (0.01 * a.data_range) ** 2, (0.03 * a.data_range) ** 2
        product = a.mean * b.mean
        covariance = UNBIASED * (blur(a.maps * b.maps) - product)
        alike = (2 * product + c1) * (2 * covariance + c2)
        most = (a.mean * a.mean + b.mean * b.mean + c1) * (a.variance + b.variance + c2)
        return (alike / most).mean((1, 2, 3), dtype=torch.float64)


def blur(maps: Tensor) -> Tensor:
    """Gaussian window means (n, k, h - 10, w - 10) of maps (n, k, h, w), windows inside only.

    One axis after the other, as weighted sums of shifted maps: each pair of equal weights at once.
    (2 to 9 times as fast as a convolution or a band matrix on the CPU.)
    """
    for axis in (-2, -1):
        size = maps.shape[axis] - 2 * RADIUS
        shifted = [maps.narrow(axis, i, size) for i in range(2 * RADIUS + 1)]
        total = shifted[RADIUS] * WEIGHTS[RADIUS]
        for i in range(RADIUS):
            total.add_(shifted[i] + shifted[2 * RADIUS - i], alpha=WEIGHTS[i])
        maps = total
    return maps


def _known(data_range: float | None) -> float:
    if data_range is None:
        raise ConfigError(
            "SSIM needs maps with bounds: normalise='rms' has none. Use 'p99' or 'minmax', or give "
            "data_range."
        )
    return data_range


def _weights() -> list[float]:
    x = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (x / SIGMA) ** 2)
    return [float(weight) for weight in weights / weights.sum()]


WEIGHTS = _weights()
