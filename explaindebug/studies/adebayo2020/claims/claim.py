"""What a claim of the paper is, and what a run says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from explaindebug.core import wording
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.judging import FAILS, HOLDS, UNKNOWN, Answer, spread
from explaindebug.studies.adebayo2020.published import SSIM


class Said(NamedTuple):
    """An answer, and what it rests on: sentences with numbers."""

    answer: Answer
    evidence: str


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper, and how it is judged here.

    It is judged twice: `measured` asks for the paper's own numbers, `beyond` whether they say it
    once they are read against the no-bug control and the matched nulls, which the paper has not.
    """

    number: int
    statement: str
    means: str  # what its words mean here: thresholds
    against: str  # what it is read against, and when it stands
    tables: str  # the start of the names of the experiments that can tell
    measured: Callable[[Entry], Said]
    beyond: Callable[[Entry], Said]
    why: str  # what a failure could come from, and the run that would tell
    needs_gate: bool = True  # a void test says nothing


@dataclass(frozen=True)
class Finding:
    """What one run says of a claim; without a run, that none can tell."""

    claim: Claim
    entry: Entry | None
    measured: Said
    beyond: Said


def finding(claim: Claim, entry: Entry | None) -> Finding:
    """The claim judged by a run."""
    if entry is None:
        nobody = Said(UNKNOWN, f"No run of `experiment={claim.tables}` was given.")
        return Finding(claim, None, nobody, nobody)
    if claim.needs_gate and entry.void:
        failed = next(gate for gate in entry.test.gates if not gate.passed)
        void = Said(UNKNOWN, f"The test is void: {failed.said}, {failed.meaning}.")
        return Finding(claim, entry, void, void)
    return Finding(claim, entry, claim.measured(entry), claim.beyond(entry))


def findings(claims: Sequence[Claim], entries: Sequence[Entry]) -> list[Finding]:
    """Each claim judged by each run that can tell, in order."""
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
    """`two networks agree by 0.4 (GBP) to 0.9 (LIME), ...`: the SSIM of other arms, by arm.

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
