"""Whether maps show that a training example was mislabelled."""

from dataclasses import dataclass

from explaindebug.debugtests.reference import AgainstReference
from explaindebug.evaluation.results import Headline

HEADLINE = Headline(
    "flipped",
    "spearman",
    "down",
    "Are maps of mislabelled examples less like the reference's than a clean twin's are?",
)


@dataclass(frozen=True)
class Labels(AgainstReference):
    """Training examples with wrong labels: maps of the network that was trained on them.

    The inputs are the mislabelled examples; the reference and the controls were trained with the
    right labels.

    Source: Adebayo et al. 2020, section 3.2.
    """

    name = "labels"
    title = "Mislabelled training examples"

    asked: Headline = HEADLINE
