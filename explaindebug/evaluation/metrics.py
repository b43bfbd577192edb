"""Similarities as torchmetrics metrics, for use in any LightningModule."""

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
    """Mean similarity of candidate maps to their references, over all inputs seen so far.

        self.ssim = MapSimilarity("ssim")                      # in __init__
        self.ssim.update(maps, reference_maps)                 # in validation_step, (n, c, h, w)
        self.log("val/ssim", self.ssim)

    All inputs have equal weight, however uneven the batches and processes are. An input has no
    similarity if its map or reference is constant or not finite; it is left out of the mean and
    counted in `unscored`. If no input is left, the mean is NaN.

    Maps are raw attributions. They are post-processed as in the callbacks, so values equal those of
    `debug/<test>/<method>/<similarity>`. Whether a high similarity is good depends on what is
    compared (a broken network's maps should differ), so `higher_is_better` is None.

    Args:
        similarity: a name, `{name: options}`, or an object.
        postprocessing: how raw attributions become the maps that are compared.
        kwargs: passed to `torchmetrics.Metric`: `sync_on_compute`, `process_group`, ...

    Raises:
        ConfigError: for an unknown name or option, or an incompatible post-processing.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    total: Tensor
    scored: Tensor  # number of inputs with a similarity
    unscored: Tensor  # number of inputs without one

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
        """The similarity (n,) float64 of each input, NaN if it has none; does not change the state.

        Raises:
            DataError: if the shapes of maps and references don't match.
        """
        if not isinstance(reference, Reference):
            reference = Reference.of_maps(reference)
        return torch.from_numpy(self.comparison.values(reference, candidate)[self.name])

    def update(self, candidate: Tensor, reference: Tensor | Reference) -> None:
        """Add raw maps (n, c, h, w) and their references: raw maps, or a `Reference`."""
        values = self.each(candidate, reference).numpy()
        good = ~np.isnan(values)
        self.total += float(values[good].sum())
        self.scored += int(good.sum())
        self.unscored += int((~good).sum())

    def compute(self) -> Tensor:
        """The mean over inputs that have a similarity; NaN if none has.

        Warns:
            MeasurementWarning: if inputs are left out of the mean.
        """
        if self.unscored:
            warnings.warn(
                f"{int(self.unscored)} of {int(self.unscored + self.scored)} inputs have no "
                f"{self.name}, because a map or its reference is constant or not finite; the mean "
                "is over the others. `each` shows which they are: they are NaN there.",
                MeasurementWarning,
                stacklevel=2,
            )
        return self.total / self.scored
