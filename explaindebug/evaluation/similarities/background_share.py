"""Share of a map on the spurious signal, usually the background: relevance mass."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.postprocessing import PostProcessing
from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity


@SIMILARITIES.register("background")
@dataclass(frozen=True)
class BackgroundShare(Similarity):
    """Share of |attribution| on the pixels where the reference, a mask, is 1.

    sum(mask |a|) / sum |a|, from 0 to 1: relevance mass. A map unrelated to the mask scores the
    mask's share of the area. Clipping or shifting would change it, so maps are scaled by their root
    mean square, whatever the run's post-processing. NaN for a zero map.

    Raises:
        ConfigError: if the reference has values other than 0 and 1.
    """

    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    symmetric: ClassVar[bool] = False

    def postprocessing(self, run: PostProcessing) -> PostProcessing:
        own = PostProcessing("abs", "abs_sum", "rms")
        return own if self.sign is None else own.with_sign(self.sign)

    def prepare(self, maps: Tensor, data_range: float | None) -> Tensor:
        return maps.flatten(1).double()

    def compare(self, reference: Tensor, candidate: Tensor) -> Tensor:
        if not torch.all((reference == 0) | (reference == 1)):
            raise ConfigError(
                "the similarity 'background' measures the share of a map on a mask of 0 and 1, and "
                "this reference has other values. Use it with Reference.of_mask."
            )
        size = candidate.abs()
        return (reference * size).sum(1) / size.sum(1)
