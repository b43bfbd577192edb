"""Similarities as metrics of torchmetrics, for anybody's LightningModule."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from explaindebug.core.errors import MeasurementWarning
from explaindebug.evaluation.comparison import Comparison, Reference
from explaindebug.evaluation.postprocessing import ROBUST, PostProcessing
from explaindebug.evaluation.similarities.labels import label


class MapSimilarity(Metric):
    """The mean similarity of candidate maps to their references, over all inputs so far.

        self.ssim = MapSimilarity("ssim")                      # in __init__
        self.ssim.update(maps, reference_maps)                 # in validation_step, (n, c, h, w)
        self.log("val/ssim", self.ssim)

    Inputs are weighted alike, however uneven batches and the shares of processes are. An input that
    has no similarity, as its map or its reference is constant or not finite, is left out of the
    mean and counted in `unscored` instead; where none is left, the mean is NaN.

    Maps are raw attributions, which are post-processed as the callbacks do it, so that values are
    those of `debug/<test>/<method>/<similarity>`. Whether likeness is good depends on what is
    compared (a broken network's maps should differ), so `higher_is_better` is None.

    Args:
        similarity: a name, `{name: options}`, or an object.
        postprocessing: from raw attributions to the maps that are compared.
        kwargs: torchmetrics' own: `sync_on_compute`, `process_group`, ...

    Raises:
        ConfigError: for an unknown name or option, or a post-processing that it doesn't go with.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    total: Tensor
    scored: Tensor  # how many inputs have a similarity
    unscored: Tensor  # and how many have none

    def __init__(
        self, similarity: Any = "ssim", postprocessing: PostProcessing = ROBUST, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.comparison = Comparison((similarity,), postprocessing, nulls=())
        self.name = label(similarity)
        self.add_state("total", torch.tensor(0.0), "sum")  # Apple's devices have no float64
        self.add_state("scored", torch.tensor(0), "sum")
        self.add_state("unscored", torch.tensor(0), "sum")

    def each(self, candidate: Tensor, reference: Tensor | Reference) -> Tensor:
        """The similarity (n,) float64 of each input, NaN where it has none; nothing is counted.

        Raises:
            DataError: where maps and references don't belong together.
        """
        if not isinstance(reference, Reference):
            reference = Reference.of_maps(reference)
        return torch.from_numpy(self.comparison.values(reference, candidate)[self.name])

    def update(self, candidate: Tensor, reference: Tensor | Reference) -> None:
        """Count raw maps (n, c, h, w) and what they are compared with: maps, or a `Reference`."""
        values = self.each(candidate, reference).numpy()
        good = ~np.isnan(values)
        self.total += float(values[good].sum())
        self.scored += int(good.sum())
        self.unscored += int((~good).sum())

    def compute(self) -> Tensor:
        """The mean over inputs that have a similarity, NaN where there are none.

        Warns:
            MeasurementWarning: where inputs are left out of the mean.
        """
        if self.unscored:
            warnings.warn(
                f"{int(self.unscored)} of {int(self.unscored + self.scored)} inputs have no "
                f"{self.name}, as a map or its reference is constant or not finite; the mean is "
                "that of the others. `each` tells which they are.",
                MeasurementWarning,
                stacklevel=2,
            )
        return self.total / self.scored
