"""What a verdict on two versions of a network means, and what each input looks like under both."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from explaindebug.core.wording import num
from explaindebug.evaluation.results import Verdict

Reasons = Literal["changed", "same", "can't tell"]


class Change(NamedTuple):
    """What one method says about the reasons of two versions."""

    method: str
    reasons: Reasons
    why: str  # one sentence


@dataclass(frozen=True)
class Compared:
    """One input under both versions; by method, NaN or missing where there is no number."""

    row: int  # index of the input
    name: str
    old_class: int
    new_class: int
    old: float  # probability of the class that the old version predicts, under the old version
    new: float  # the same class's, under the new version
    counted: bool  # whether the verdict may use it: every network predicts that class
    similarity: Mapping[str, float] = field(default_factory=dict)  # to the old version's map
    control: Mapping[str, float] = field(default_factory=dict)  # the same, mean over controls
    object_old: Mapping[str, float] = field(default_factory=dict)  # share of the map on the object
    object_new: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the new version keeps the answer."""
        return self.old_class == self.new_class

    @property
    def drift(self) -> float:
        """1 - similarity, the mean over methods; NaN if no maps were compared."""
        return 1 - mean(self.similarity.values())

    @property
    def object_change(self) -> float:
        """How much more of the new version's map is on the object, the mean over methods."""
        return mean(self.object_new[m] - old for m, old in self.object_old.items())


def change(method: str, verdict: Verdict | None, seeds: int, stable: float) -> Change:
    """What a method's verdict says about reasons.

    Without a retrained seed (`seeds` is their number) it can only be said that reasons are the
    same: that maps differ by more than under noise does not tell whether a retrained seed's would
    as well. They are not said to be the same if both the new version's and the control's maps are
    as good as unrelated to the old ones; or, with noise as control, if both are less similar to
    them than `stable`.
    """
    if verdict is None:
        return Change(method, "can't tell", "No input keeps its answer.")
    v, why = verdict, verdict.reason.rstrip(".")
    most = max(v.bug, v.control)
    if v.answer == "can't tell":
        return Change(method, "can't tell", f"{why}.")
    if v.answer == "shows":
        if seeds:
            return Change(method, "changed", f"{why}.")
        unknown = "whether a retrained seed of the old version would differ as much is unknown"
        return Change(method, "can't tell", f"{why}; {unknown}.")
    if most - v.null <= v.margin:
        unseen = f"unrelated maps have {num(v.null)}, so no change could be seen"
        return Change(method, "can't tell", f"{why}; {unseen}.")
    if not seeds and most < stable:
        loose = "a method whose maps change under noise can't say that reasons are the same"
        return Change(method, "can't tell", f"{why}; {loose}.")
    return Change(method, "same", f"{why}.")


def together(changes: Iterable[Change]) -> Reasons:
    """`changed` if a method shows it, `same` if all say so."""
    found = {one.reasons for one in changes}
    order: tuple[Reasons, ...] = ("changed", "can't tell", "same")
    return next((one for one in order if one in found), "can't tell")


def ranked(inputs: Iterable[Compared]) -> list[Compared]:
    """The inputs by drift, the largest first; then those without."""
    return sorted(inputs, key=lambda one: (math.isnan(one.drift), -one.drift, one.row))


def mean(values: Iterable[float]) -> float:
    """The mean of those that are not NaN; NaN if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
