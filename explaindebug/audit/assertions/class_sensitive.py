"""The map depends on the class."""

from dataclasses import dataclass

from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, beyond, similarity
from explaindebug.core.errors import ConfigError
from explaindebug.core.validation import number
from explaindebug.debugtests.check import runner_up


@ASSERTIONS.register("class_sensitive")
@dataclass(frozen=True)
class ClassSensitive(Assertion):
    """Maps of the two likeliest classes, with their signs, have at most this rank correlation.

    Severity is what is beyond. See the question `class` of `Check`.
    """

    name = "class_sensitive"

    at_most: float = 0.8

    def __post_init__(self) -> None:
        number("class_sensitive: at_most", self.at_most, least=-1, most=1)

    @property
    def claim(self) -> str:
        return f"maps of the two likeliest classes have at most a similarity of {self.at_most:g}"

    def severity(self, case: Case) -> Tensor:
        images = case.probe.image
        outputs, second = runner_up(case.logits, case.targets)
        if outputs == 1:
            raise ConfigError(
                "class_sensitive: the network has one output, whose maps for the two classes are "
                "negatives of each other. Leave this assertion out."
            )
        other = case.explain(case.network, images, second)
        return beyond(similarity(case.maps, other, signed=True), self.at_most)
