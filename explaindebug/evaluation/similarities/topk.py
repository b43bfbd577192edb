"""Overlap of the strongest pixels of two maps."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity


@SIMILARITIES.register("topk")
@dataclass(frozen=True)
class TopK(Similarity):
    """Share of one map's strongest pixels that are among the other's: |A and B| / k.

    k is a `fraction` of all values, which is also the expected overlap of unrelated maps. Values
    tied at the threshold share the remaining places equally, so the order of pixels does not
    matter. "Strongest" means largest: in a signed map, most in favour. NaN for a constant map.

    Raises:
        ConfigError: for a fraction that is not between 0 and 1 (exclusive).
    """

    fraction: float = 0.1

    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ConfigError(
                f"topk: fraction must be between 0 and 1, got {self.fraction}. Use 0.1."
            )

    def prepare(self, maps: Tensor, data_range: float | None) -> Tensor:
        """Membership (n, p) among the strongest pixels, from 0 to 1, k in sum."""
        flat = maps.flatten(1)
        k = self._k(flat)
        last = flat.kthvalue(flat.shape[1] - k + 1, dim=1, keepdim=True).values
        above, equal = flat > last, flat == last
        places = (k - above.sum(1, keepdim=True)).double()
        members = above + equal * (places / equal.sum(1, keepdim=True))
        nothing = flat.isnan().any(1) | (flat.amax(1) == flat.amin(1))
        return members.masked_fill(nothing[:, None], torch.nan)

    def compare(self, reference: Tensor, candidate: Tensor) -> Tensor:
        return torch.minimum(reference, candidate).sum(1) / self._k(reference)

    def _k(self, flat: Tensor) -> int:
        return max(1, round(self.fraction * flat.shape[1]))
