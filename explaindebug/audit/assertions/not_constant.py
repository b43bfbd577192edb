"""The map is not constant."""

from dataclasses import dataclass

from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case


@ASSERTIONS.register("not_constant")
@dataclass(frozen=True)
class NotConstant(Assertion):
    """The map has more than one value; severity is 1 where it has not, as for a zero map."""

    name = "not_constant"

    @property
    def claim(self) -> str:
        return "the map is not constant"

    def severity(self, case: Case) -> Tensor:
        flat = case.maps.flatten(1)
        return (flat.amax(1) == flat.amin(1)).double().cpu()
