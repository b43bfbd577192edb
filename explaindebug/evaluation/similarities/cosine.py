"""Cosine of the angle between two maps."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity


@SIMILARITIES.register("cosine")
@dataclass(frozen=True)
class Cosine(Similarity):
    """Cosine of the angle between two maps as vectors; NaN for a zero map, which has no direction.

    Insensitive to scale, not to offset: after `minmax` all signed maps point towards the same grey.
    """

    lowest: ClassVar[float] = -1.0
    highest: ClassVar[float] = 1.0

    def prepare(self, maps: Tensor, data_range: float | None) -> Tensor:
        flat = maps.flatten(1).double()
        scaled = flat / flat.abs().amax(1, keepdim=True)  # squares must not under- or overflow
        return scaled / scaled.square().sum(1, keepdim=True).sqrt()

    def compare(self, reference: Tensor, candidate: Tensor) -> Tensor:
        return (reference * candidate).sum(1)
