"""The answer depends on the object."""

from dataclasses import dataclass

import torch
from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, beyond
from explaindebug.bugs.interventions import FILLS, removed
from explaindebug.core.validation import number
from explaindebug.debugtests.reliance import probabilities


@ASSERTIONS.register("object_needed")
@dataclass(frozen=True)
class ObjectNeeded(Assertion):
    """Without the object, the predicted class keeps at most this share of its probability.

    Severity is what is beyond. `fill` is what takes the object's place, see
    `explaindebug.bugs.interventions`. An input without an object, or with nothing else, has no
    severity. No maps are involved, so there is no null.

    Source: Bissoto et al. 2019; Singla and Feizi 2022.
    """

    name = "object_needed"
    needs_masks = True

    at_most: float = 0.5
    fill: str = "inpaint"

    def __post_init__(self) -> None:
        number("object_needed: at_most", self.at_most, least=0, most=1)
        FILLS[self.fill]

    @property
    def claim(self) -> str:
        return f"without the object, the class keeps at most {self.at_most:g} of its probability"

    def severity(self, case: Case) -> Tensor:
        images, masks = case.probe.image, case.masks
        before = probabilities(case.network, images, case.targets, case.chunk)
        without = removed(images, masks, self.fill)
        kept = probabilities(case.network, without, case.targets, case.chunk) / before
        partial = masks.flatten(1).any(1) & ~masks.flatten(1).all(1)
        return beyond(torch.where(partial, kept, torch.nan), self.at_most)
