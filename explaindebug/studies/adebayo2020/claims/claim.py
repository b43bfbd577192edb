"""A claim of the paper, and its judgement by a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from explaindebug.core import wording
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.judging import FAILS, HOLDS, UNKNOWN, Answer, spread
from explaindebug.studies.adebayo2020.published import SSIM


class Said(NamedTuple):
    """An answer with its evidence: sentences with numbers."""

    answer: Answer
    evidence: str


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, and how it is judged here.

    It is judged twice: `measured` checks the numbers that the paper reports, `beyond` whether the
    claim holds against the no-bug control and the matched nulls, which the paper does not have.
    """

    number: int
    statement: str
    means: str  # operational definition of its terms: thresholds
    against: str  # when it holds against control and null
    tables: str  # prefix of the names of the experiments that can judge it
    measured: Callable[[Entry], Said]
    beyond: Callable[[Entry], Said]
    why: str  # possible reasons for a failure, and runs that would show which
    needs_gate: bool = True  # whether a void test can't judge it


@dataclass(frozen=True)
class Finding:
    """Judgement of a claim by one run; without a run, unknown."""

    claim: Claim
    entry: Entry | None
    measured: Said
    beyond: Said


def finding(claim: Claim, entry: Entry | None) -> Finding:
    """Judge the claim by a run."""
    if entry is None:
        nobody = Said(UNKNOWN, f"No run of `experiment={claim.tables}` was given.")
        return Finding(claim, None, nobody, nobody)
    if claim.needs_gate and entry.void:
        failed = next(gate for gate in entry.test.gates if not gate.passed)
        void = Said(UNKNOWN, f"The test is void: {failed.said}, {failed.meaning}.")
        return Finding(claim, entry, void, void)
    return Finding(claim, entry, claim.measured(entry), claim.beyond(entry))


def findings(claims: Sequence[Claim], entries: Sequence[Entry]) -> list[Finding]:
    """Each claim judged by each applicable run, in order."""
    found = []
    for claim in claims:
        own = [entry for entry in entries if entry.experiment.name.startswith(claim.tables)]
        found += [finding(claim, entry) for entry in own] or [finding(claim, None)]
    return found


def of_verdicts(entry: Entry, shows: Answer) -> dict[str, Answer]:
    """The run's verdicts as answers: "shows" becomes `shows`, "doesn't" its opposite."""
    doesnt = FAILS if shows == HOLDS else HOLDS
    words: Mapping[str, Answer] = {"shows": shows, "doesn't": doesnt}
    return {entry.names[m]: words.get(v.answer, UNKNOWN) for m, v in entry.verdicts.items()}


def read_beside(entry: Entry, where: str, words: Mapping[str, str]) -> str:
    """`two networks agree by 0.4 (GBP) to 0.9 (LIME), ...`: SSIM of other arms, for comparison.

    Arms that were not scored are left out.
    """
    found = {arm: entry.numbers(where, SSIM, arm) for arm in words}
    said = [f"{words[arm]} {spread(numbers)}" for arm, numbers in found.items() if numbers]
    return ", ".join(said) or "no control was scored"


def tallied(entry: Entry) -> str:
    """`2 of 16 methods show it (GBP and LIME), 11 don't, 3 can't tell`."""
    found = [v.answer for v in entry.verdicts.values()]
    shown = [entry.names[m] for m, v in entry.verdicts.items() if v.answer == "shows"]
    which = f" ({wording.listed(shown, 16)})" if 0 < len(shown) < len(found) else ""
    none, open_ = found.count("doesn't"), found.count("can't tell")
    return f"{len(shown)} of {len(found)} methods show it{which}, {none} don't, {open_} can't tell"
