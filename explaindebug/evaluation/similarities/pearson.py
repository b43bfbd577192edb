"""Pearson's correlation of the pixels of two maps."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity


@SIMILARITIES.register("pearson")
@dataclass(frozen=True)
class Pearson(Similarity):
    """Correlation of pixel values over all channels; NaN for constant maps.

    Equal to `scipy.stats.pearsonr`. Insensitive to a map's offset and scale.
    """

    lowest: ClassVar[float] = -1.0
    highest: ClassVar[float] = 1.0

    def prepare(self, maps: Tensor, data_range: float | None) -> Tensor:
        return centred(maps.flatten(1).double())

    def compare(self, reference: Tensor, candidate: Tensor) -> Tensor:
        return (reference * candidate).sum(1)


def centred(values: Tensor) -> Tensor:
    """Rows (n, p) with mean 0 and length 1: dot products are correlations. NaN if constant."""
    constant = values.amax(1, keepdim=True) == values.amin(1, keepdim=True)
    shifted = values - values.mean(1, keepdim=True)
    scaled = shifted / shifted.abs().amax(1, keepdim=True)  # squares must not under- or overflow
    length = scaled.square().sum(1, keepdim=True).sqrt()
    return (scaled / length).masked_fill(constant, torch.nan)
