"""Which methods can be read on one network: a method's verdicts on several questions, combined.

A method is fit if it meets every need, so the claim is false at most as often as each of its
verdicts (intersection-union test, Berger and Hsu 1996). It is not fit if it surely fails one; these
verdicts are adjusted over the whole table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from explaindebug.core.wording import listed
from explaindebug.evaluation.results import Verdict

Fit = Literal["fit", "not fit", "can't tell"]


class Need(NamedTuple):
    """A question that a method has to answer with "shows", in words that follow "the map"."""

    test: str
    met: str  # "changes with the class"
    unmet: str  # "stays the same for another class"


@dataclass(frozen=True)
class Fitness:
    """Whether a method's maps can be read on this network, and why."""

    method: str
    fit: Fit
    reason: str  # a sentence
    verdicts: Mapping[str, Verdict]  # by test


def fitness(
    method: str, verdicts: Sequence[Verdict], needs: Sequence[Need], empty: float = 0.0
) -> Fitness:
    """Whether `method` meets the needs; verdicts of other methods and tests are ignored.

    `empty` is the share of inputs whose map is constant: with half of them, nothing can be read.
    """
    own = {v.test: v for v in verdicts if v.method == method}
    asked = [need for need in needs if need.test in own]
    failed = [need.unmet for need in asked if own[need.test].answer == "doesn't"]
    open_ = [need for need in asked if own[need.test].answer == "can't tell"]
    if empty >= 0.5:
        failed.insert(0, f"is constant for {empty:.0%} of the inputs")
    if failed:
        return Fitness(method, "not fit", f"The map {listed(failed)}.", own)
    if open_ or not asked:
        why = " ".join(f"{need.test}: {own[need.test].reason}" for need in open_)
        return Fitness(method, "can't tell", f"Not decided: {why}" if why else "Not asked.", own)
    return Fitness(method, "fit", f"The map {listed([need.met for need in asked])}.", own)
