"""The map lies on the object."""

from dataclasses import dataclass

from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, below, share
from explaindebug.core.validation import number


@ASSERTIONS.register("on_object")
@dataclass(frozen=True)
class OnObject(Assertion):
    """At least this share of |map| is on the object; severity is what is missing.

    A shuffled map has the object's share of the area, so that for large objects a low threshold
    asks nothing.
    """

    name = "on_object"
    needs_masks = True
    chance = "fails"

    at_least: float = 0.5

    def __post_init__(self) -> None:
        number("on_object: at_least", self.at_least, above=0, most=1)

    @property
    def claim(self) -> str:
        return f"at least {self.at_least:g} of the map is on the object"

    def severity(self, case: Case) -> Tensor:
        return below(share(case.maps, case.masks), self.at_least)
