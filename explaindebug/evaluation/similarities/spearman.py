"""Spearman's rank correlation: signed, absolute, and of active pixels only."""

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from explaindebug.evaluation.postprocessing import PostProcessing, Sign
from explaindebug.evaluation.similarities._ranks import ranks
from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity


class Ranked(NamedTuple):
    """Centred ranks of maps, and the lengths of these vectors."""

    centred: Tensor  # (n, p) float64
    length: Tensor  # (n,) float64


@SIMILARITIES.register("spearman")
@dataclass(frozen=True)
class Spearman(Similarity):
    """Pearson's correlation of ranks over all channels, with ties at their mean rank.

    Equal to `scipy.stats.spearmanr`; NaN for a constant map. Maps of two unrelated models correlate
    if both focus on the object, unless the sign is kept.
    """

    family: ClassVar[str] = "spearman"
    lowest: ClassVar[float] = -1.0
    highest: ClassVar[float] = 1.0

    def prepare(self, maps: Tensor, data_range: float | None) -> Ranked:
        values = maps.flatten(1)
        centred = ranks(values).sub_((values.shape[1] + 1) / 2)
        length = centred.square().sum(1).sqrt()  # 0 for a constant map, so that 0 / 0 gives NaN
        return Ranked(centred, length.masked_fill(values.isnan().any(1), torch.nan))

    def compare(self, reference: Ranked, candidate: Ranked) -> Tensor:
        covariance = (reference.centred * candidate.centred).sum(1)
        return covariance / (reference.length * candidate.length)


@SIMILARITIES.register("spearman_signed")
@dataclass(frozen=True)
class SignedSpearman(Spearman):
    """Spearman's correlation of signed maps, whatever sign the run's post-processing keeps."""

    sign: Sign | None = "signed"


@SIMILARITIES.register("spearman_abs")
@dataclass(frozen=True)
class AbsoluteSpearman(Spearman):
    """Spearman's correlation of absolute maps, whatever sign the run's post-processing keeps."""

    sign: Sign | None = "abs"


@SIMILARITIES.register("spearman_active")
@dataclass(frozen=True)
class ActiveSpearman(Similarity):
    """Spearman's correlation over the pixels that are not zero in both maps.

    Maps that share many zeros, such as those of methods that multiply by the input, correlate
    through them. Zero must mean no attribution, so maps are scaled by their root mean square, never
    shifted. Source: Sundararajan, Taly: A Note about Local Explanation Methods, 2018.
    """

    sign: Sign | None = "signed"
    family: ClassVar[str] = "spearman"
    lowest: ClassVar[float] = -1.0
    highest: ClassVar[float] = 1.0

    def postprocessing(self, run: PostProcessing) -> PostProcessing:
        return replace(super().postprocessing(run), normalise="rms")

    def prepare(self, maps: Tensor, data_range: float | None) -> Tensor:
        return maps.flatten(1)

    def compare(self, reference: Tensor, candidate: Tensor) -> Tensor:
        active = (reference != 0) | (candidate != 0)
        broken = (reference + candidate).isnan().any(1)
        a, b = (_centred_ranks(values, active) for values in (reference, candidate))
        length = (a.square().sum(1) * b.square().sum(1)).sqrt()
        return ((a * b).sum(1) / length).masked_fill(broken, torch.nan)


def _centred_ranks(values: Tensor, active: Tensor) -> Tensor:
    """Ranks among each row's active values, minus their mean; 0 elsewhere."""
    ranked = ranks(values.masked_fill(~active, torch.inf))  # the others come last
    mean = (active.sum(1, keepdim=True) + 1).double() / 2
    return (ranked - mean).masked_fill(~active, 0.0)
