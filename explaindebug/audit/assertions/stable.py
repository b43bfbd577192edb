"""The map stays the same under noise."""

from dataclasses import dataclass

from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, below, similarity
from explaindebug.cascade.states import Smoothing
from explaindebug.core.validation import number


@ASSERTIONS.register("stable")
@dataclass(frozen=True)
class Stable(Assertion):
    """Under Gaussian noise, the map keeps at least this rank correlation to itself.

    `noise` is the standard deviation, as a share of each input's range. The map is that of the same
    class. Severity is what is missing. See the question `noise` of `Check`.
    """

    name = "stable"

    noise: float = 0.01
    at_least: float = 0.6

    def __post_init__(self) -> None:
        number("stable: noise", self.noise, above=0, most=1)
        number("stable: at_least", self.at_least, least=-1, most=1)

    @property
    def claim(self) -> str:
        return f"under noise of {self.noise:g}, similarity is at least {self.at_least:g}"

    def severity(self, case: Case) -> Tensor:
        noisy = next(Smoothing(1, self.noise, case.seed)(case.probe.image))
        moved = case.explain(case.network, noisy, case.targets)
        return below(similarity(case.maps, moved), self.at_least)
