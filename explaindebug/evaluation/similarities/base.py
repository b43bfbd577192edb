"""Base class of similarities: one number per input, in two steps, so references are reusable."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from explaindebug.core import spellings
from explaindebug.core.errors import DataError
from explaindebug.core.registry import Registry
from explaindebug.evaluation.postprocessing import PostProcessing, Sign

SIMILARITIES: Registry[type["Similarity"]] = Registry(
    "similarity", "explaindebug.evaluation.similarities", elsewhere=spellings.SIMILARITIES
)
CACHED = 2**17  # map values at a time, so that the windows of SSIM fit into a core's cache
ON_DEVICE = 2**24  # the same for accelerators, which need larger chunks


@dataclass(frozen=True)
class Similarity(ABC):
    """Similarities (n,) float64 of maps (n, k, h, w), one per input.

    Computed as `compare(prepare(a), prepare(b))`, so that a reference with many candidates is
    prepared only once. A NaN in either map gives NaN.
    """

    sign: Sign | None = None  # of the maps to compare; None: as in the run's post-processing

    family: ClassVar[str] = ""  # the similarity that it is a variant of; empty: none
    lowest: ClassVar[float]
    highest: ClassVar[float]
    identical: ClassVar[float] = 1.0  # the value of a map and itself
    symmetric: ClassVar[bool] = True

    def postprocessing(self, run: PostProcessing) -> PostProcessing:
        """The post-processing that this similarity needs, given the run's."""
        return run if self.sign is None else run.with_sign(self.sign)

    @abstractmethod
    def prepare(self, maps: Tensor, data_range: float | None) -> Any:
        """What `compare` needs of maps (n, k, h, w), on either side."""

    @abstractmethod
    def compare(self, reference: Any, candidate: Any) -> Tensor:
        """The similarities (n,) of two prepared sets of maps."""

    def __call__(
        self, reference: Tensor, candidate: Tensor, *, data_range: float | None = None
    ) -> Tensor:
        """The similarities (n,) float64 of two sets of maps (n, k, h, w).

        Raises:
            DataError: if the shapes differ.
            ConfigError: if the similarity needs a `data_range`, or larger maps.
        """
        if reference.shape != candidate.shape or reference.ndim != 4:
            raise DataError(
                f"maps (n, k, h, w) of one shape are compared, got {tuple(reference.shape)} and "
                f"{tuple(candidate.shape)}."
            )
        values = [
            self.compare(self.prepare(a, data_range), self.prepare(b, data_range))
            for a, b in zip(chunks(reference), chunks(candidate), strict=True)
        ]
        return torch.cat(values).double()


def chunks(maps: Tensor) -> tuple[Tensor, ...]:
    """The maps (n, k, h, w), a few inputs at a time (at 224 px this halves the time on a CPU)."""
    most = CACHED if maps.device.type == "cpu" else ON_DEVICE
    return torch.split(maps, max(1, most // max(1, maps[:1].numel())))
