"""Whether maps show that the inputs are out of distribution."""

from dataclasses import dataclass

from explaindebug.debugtests.reference import AgainstReference
from explaindebug.evaluation.results import Headline

HEADLINE = Headline(
    "foreign",
    "spearman",
    "down",
    "Are maps less like those of the inputs' own network than its twin's are?",
)


@dataclass(frozen=True)
class Ood(AgainstReference):
    """Inputs of a domain that the network never saw: its maps against an in-domain network's.

    The inputs, the reference and the controls are of one domain, the network with the bug was
    trained on another. Each explains the class that it predicts.

    Source: Adebayo et al. 2020, section 5.
    """

    name = "ood"
    title = "Out of distribution"

    asked: Headline = HEADLINE
    own_target: bool = True
