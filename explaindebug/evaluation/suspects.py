"""Regions that a network is suspected to rely on, and what became of the suspicion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from explaindebug.evaluation.results import Answer, Verdict


@dataclass(frozen=True)
class Suspect:
    """A candidate region after its interventions; shares are means over its held-out inputs."""

    name: str
    title: str
    answer: Answer
    verdicts: Sequence[Verdict]  # one per fill; empty if it was not tested
    against_twin: Sequence[Verdict]  # likewise; empty without a twin
    inputs: int  # held-out inputs that were tested
    area: float  # of the region that was removed, as a share of the picture
    on_object: float | None  # share of the region on the object; None without masks
    shares: Mapping[str, float]  # method -> share of its map in the region
    reason: str  # one sentence

    @property
    def tested(self) -> bool:
        """Whether there was enough off the object to intervene on."""
        return bool(self.verdicts)

    @property
    def strongest(self) -> Verdict | None:
        """The verdict with the largest effect."""
        return max(self.verdicts, key=lambda v: (v.answer == self.answer, v.effect), default=None)


@dataclass(frozen=True)
class Fact:
    """A value of a column of metadata, and the predicted class that goes with it."""

    column: str
    value: str
    predicted: int
    with_value: float  # share of held-out inputs with the value that are predicted as the class
    without: float  # and of those without it
    count: int  # held-out inputs with the value
    p_adjusted: float  # over all facts


def answered(own: Sequence[Verdict], twins: Sequence[Verdict]) -> Answer:
    """A candidate's answer from those of its fills: "shows" if one shows, "doesn't" if all don't.

    With a twin, a fill shows only what the twin does not lose as well.
    """
    if not twins:
        return either([v.answer for v in own])
    beside = {v.method: v.answer for v in twins}
    return either([both(v.answer, beside.get(v.method, "can't tell")) for v in own])


def either(answers: Iterable[Answer]) -> Answer:
    """An answer of several: that one shows, or that none does; of nothing, "can't tell"."""
    found = set(answers)
    if "shows" in found:
        return "shows"
    return "doesn't" if found == {"doesn't"} else "can't tell"


def both(first: Answer, second: Answer) -> Answer:
    """An answer that needs two: "shows" if both do, "doesn't" if one doesn't."""
    if "doesn't" in (first, second):
        return "doesn't"
    return "shows" if (first, second) == ("shows", "shows") else "can't tell"
