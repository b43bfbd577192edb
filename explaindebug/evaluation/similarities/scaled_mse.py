"""Mean squared difference of two maps scaled to equal strength. Binder et al., CVPR 2023."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from explaindebug.evaluation.postprocessing import PostProcessing
from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity


@SIMILARITIES.register("mse_rms")
@dataclass(frozen=True)
class ScaledError(Similarity):
    """Mean squared difference of maps divided by their root mean square: 0 equal, 4 opposite.

    Unrelated signed maps have 2; it equals 2 - 2 cosine. Dividing by the second moment rather than
    the extremes keeps single bright pixels from dominating. NaN for a zero map.
    Source: Binder et al.: Shortcomings of Top-Down Randomization-Based Sanity Checks, section 4.
    """

    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 4.0
    identical: ClassVar[float] = 0.0

    def postprocessing(self, run: PostProcessing) -> PostProcessing:
        return replace(super().postprocessing(run), normalise="rms")

    def prepare(self, maps: Tensor, data_range: float | None) -> Tensor:
        flat = maps.flatten(1).double()
        flat = flat / flat.abs().amax(1, keepdim=True)  # squares must not under- or overflow
        return flat / flat.square().mean(1, keepdim=True).sqrt()

    def compare(self, reference: Tensor, candidate: Tensor) -> Tensor:
        return (reference - candidate).square().mean(1)
