"""The map depends on the weights."""

from dataclasses import dataclass

from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, beyond, similarity
from explaindebug.core.validation import number
from explaindebug.debugtests.check import check_head, without_head


@ASSERTIONS.register("weights_matter")
@dataclass(frozen=True)
class WeightsMatter(Assertion):
    """Without the last layer's weights, the map has at most this rank correlation to itself.

    Severity is what is beyond. See the question `head` of `Check`.

    Source: Adebayo et al. 2018.
    """

    name = "weights_matter"

    at_most: float = 0.8

    def __post_init__(self) -> None:
        number("weights_matter: at_most", self.at_most, least=-1, most=1)

    @property
    def claim(self) -> str:
        return f"without the last layer's weights, similarity is at most {self.at_most:g}"

    def severity(self, case: Case) -> Tensor:
        images = case.probe.image
        check_head(case.network, images, case.seed)
        lost = without_head(case.network, images, case.seed)
        return beyond(similarity(case.maps, case.explain(lost, images, case.targets)), self.at_most)
