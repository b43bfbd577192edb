"""The map is finite."""

from dataclasses import dataclass

from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case


@ASSERTIONS.register("finite")
@dataclass(frozen=True)
class Finite(Assertion):
    """Every value of the map is finite; severity is 1 where one is not."""

    name = "finite"

    @property
    def claim(self) -> str:
        return "all values of the map are finite"

    def severity(self, case: Case) -> Tensor:
        return (~case.maps.isfinite().flatten(1).all(1)).double().cpu()
