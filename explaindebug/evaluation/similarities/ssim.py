"""Structural similarity. Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, TIP 2004."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.postprocessing import PostProcessing
from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity

RADIUS = 5  # 11 x 11 windows
SIGMA = 1.5
UNBIASED = 121 / 120  # for the sample covariance of a window's values
CANCELLED = 8.0  # mean ratio of squares to variance above which float32 is too coarse


class Windows(NamedTuple):
    """Maps with the statistics of their windows."""

    maps: Tensor  # (n, k, h, w)
    level: Tensor  # (n, k, 1, 1), mean of the maps
    centred: Tensor  # (n, k, h, w), maps minus level
    mean: Tensor  # (n, k, h - 10, w - 10), of `centred` per window
    square: Tensor  # (n, k, h - 10, w - 10), mean square of `centred` per window
    data_range: float

    @property
    def variance(self) -> Tensor:
        """Of each window (n, k, h - 10, w - 10)."""
        return UNBIASED * (self.square - self.mean * self.mean)


@SIMILARITIES.register("ssim")
@dataclass(frozen=True)
class SSIM(Similarity):
    """Mean over windows, then channels, of luminance x contrast x structure.

    (2 ma mb + C1)(2 cov + C2) / ((ma² + mb² + C1)(va + vb + C2)) with C1 = (0.01 L)²,
    C2 = (0.03 L)², L the data range; two-dimensional per channel, Gaussian windows 11 x 11 with
    sigma 1.5, sample covariance, only windows that lie inside the map. For float32 maps the error
    is at most 1e-7: they are centred first, and maps that still have flat regions far from their
    mean are computed in float64.

    Equal to scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, data_range=L)`.
    Flat regions count as similar: compare it with its nulls. Two equal constant maps give 1.

    Raises:
        ConfigError: without a data range, or if maps are smaller than a window.
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
                f"SSIM needs maps of at least 11 x 11 pixels, but they are {h} x {w}. Use larger "
                "images, or another similarity (spearman)."
            )
        level = maps.mean((2, 3), keepdim=True, dtype=torch.float64).to(maps.dtype)
        centred = maps - level
        return Windows(maps, level, centred, blur(centred), blur(centred * centred), data_range)

    def compare(self, reference: Windows, candidate: Windows) -> Tensor:
        values, cancelled = self._compared(reference, candidate)
        if reference.maps.dtype == torch.float64:
            return values
        inputs = (cancelled > CANCELLED).nonzero().squeeze(1)
        if len(inputs):
            sides = ((x.maps[inputs].double(), x.data_range) for x in (reference, candidate))
            values[inputs] = self.compare(*(self.prepare(*side) for side in sides))
        return values

    def _compared(self, a: Windows, b: Windows) -> tuple[Tensor, Tensor]:
        """Similarities (n,), and the ratio (n,) of squares to variance that shows cancellation."""
        c1, c2 = (0.01 * a.data_range) ** 2, (0.03 * a.data_range) ** 2
        covariance = UNBIASED * (blur(a.centred * b.centred) - a.mean * b.mean)
        contrast = a.variance + b.variance + c2
        x, y = a.mean + a.level, b.mean + b.level
        alike = (2 * x * y + c1) * (2 * covariance + c2)
        most = (x * x + y * y + c1) * contrast
        cancelled = ((a.square + b.square) / contrast).mean((1, 2, 3))
        return (alike / most).mean((1, 2, 3), dtype=torch.float64), cancelled


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
            "SSIM needs bounded maps: normalise='rms' has no bounds. Use 'p99' or 'minmax', or "
            "give data_range."
        )
    return data_range


def _weights() -> list[float]:
    x = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (x / SIGMA) ** 2)
    return [float(weight) for weight in weights / weights.sum()]


WEIGHTS = _weights()
