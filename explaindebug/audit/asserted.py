"""From severities per input to the answer: which assertions hold, and which got worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from explaindebug.audit.assertions.base import Assertion
from explaindebug.core.io import write_csv
from explaindebug.core.wording import interval, num
from explaindebug.evaluation.effects import effect_of
from explaindebug.evaluation.inference import (
    benjamini_hochberg,
    fewest_for_rate,
    wilson_interval,
)
from explaindebug.evaluation.pairing import pair
from explaindebug.evaluation.results import Headline, TestResult
from explaindebug.evaluation.roles import BUG, CONTROL, null_role
from explaindebug.evaluation.scores import Column, Floats, Key, Scores

TEST = "assertions"
SEVERITY, RATE, DRIFT = "severity", "rate", "drift"  # numbers per input; a rate's are 0 and 1
SHUFFLED = null_role("shuffled")
WORST = 4
SPREAD = 0.045  # standard deviation of rates between networks that differ only in their seed
REGRESSION = Headline(
    "", RATE, "up", "Is it violated more often?", arms=("of the network", "of the reference")
)

Verdict = Literal["holds", "violated", "can't tell"]
NAN = float("nan")


@dataclass(frozen=True)
class Outcome:
    """What became of one assertion. Numbers that were not measured are NaN."""

    name: str
    claim: str
    allowed: float  # rate of violations
    verdict: Verdict
    reason: str  # a sentence
    n: int = 0  # inputs that have a severity
    missing: int = 0  # inputs that have none
    violations: int = 0
    rate: float = NAN
    low: float = NAN  # ends of the rate's Wilson interval
    high: float = NAN
    severity: float = NAN  # mean over the inputs
    null: float = NAN  # rate of violations of shuffled maps
    drift: float = NAN  # of the maps, mean
    worst: tuple[int, ...] = ()  # rows of the inputs with the largest severities above 0
    control: float = NAN  # rate of violations of the reference, or the mean over several
    controls: tuple[float, ...] = ()  # of each reference
    p: float = NAN  # that the rate exceeds the control's by the margin, adjusted
    regressed: bool | None = None  # None without a reference to compare with
    note: str = ""  # what the null says of the threshold


@dataclass(frozen=True, eq=False)
class Asserted:
    """Result of `assess`."""

    outcomes: Sequence[Outcome]
    scores: Scores  # severities per input; the method is the assertion
    made: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Outcome:
        return next(one for one in self.outcomes if one.name == name)

    @property
    def verdict(self) -> Verdict:
        """`violated` if one assertion is or has regressed, `holds` if all hold."""
        found = {one.verdict for one in self.outcomes}
        if "violated" in found or self.regressed:
            return "violated"
        return "holds" if found == {"holds"} else "can't tell"

    @property
    def regressed(self) -> list[str]:
        """Names of the assertions that are violated more often than by the references."""
        return [one.name for one in self.outcomes if one.regressed]

    def to_csv(self, path: Path | str) -> None:
        """Write a line per assertion, atomically."""
        columns = list(Outcome.__dataclass_fields__)
        cells = [[getattr(one, column) for column in columns] for one in self.outcomes]
        plain = [[" ".join(map(str, c)) if isinstance(c, tuple) else c for c in x] for x in cells]
        write_csv(path, columns, plain)

    def __str__(self) -> str:
        lines = [f"{one.name}: {one.verdict}. {one.reason}" for one in self.outcomes]
        return "\n".join(
            f"{line} {one.note}".rstrip() for line, one in zip(lines, self.outcomes, strict=True)
        )


def key_of(name: str, role: str, number: str) -> Key:
    """Where an assertion's numbers per input are kept; `number` is its severity, rate or drift."""
    return Key(TEST, name, "", role, number)


def asserted(
    assertions: Mapping[str, Assertion],
    scores: Scores,
    *,
    rate: float = 0.05,
    margin: float = 0.05,
    level: float = 0.05,
    spread: float = SPREAD,
    troubles: Mapping[str, str] | None = None,
    made: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Asserted:
    """The outcome of every assertion, given severities per input as `severities` measures them.

    An assertion `holds` if the interval of its rate of violations lies at or below the allowed
    rate, and is `violated` if the interval lies above. It has `regressed` if the rate is above the
    references' by more than the `margin` on these inputs, and by more than networks of other seeds
    differ: both tests of `evaluation.verdicts`, with p values adjusted over all assertions.
    Without a `spread`, the second test is left out: the question is then about these checkpoints.
    """
    compared = TestResult(TEST, "Assertions", REGRESSION, scores, same_network=spread == 0)
    p = benjamini_hochberg(
        [effect_of(pair(compared, name), 1, margin, spread, seed).p for name in assertions]
    )
    found = [
        _outcome(name, one, scores, rate, level, float(adjusted), (troubles or {}).get(name, ""))
        for (name, one), adjusted in zip(assertions.items(), p, strict=True)
    ]
    return Asserted(found, scores, made or {})


def _outcome(
    name: str,
    one: Assertion,
    scores: Scores,
    allowed: float,
    level: float,
    p: float,
    trouble: str,
) -> Outcome:
    values = _known(_column(scores, name, BUG, SEVERITY))
    total = len(_column(scores, name, BUG, SEVERITY).values)
    if not len(values):
        why = trouble or "no input has a severity: its maps are constant or not finite."
        return Outcome(name, one.claim, allowed, "can't tell", why, missing=total)
    n, violations = len(values), int((values > 0).sum())
    share = violations / n
    low, high = wilson_interval(share, n, 1 - level)
    verdict = judged_rate(low, high, allowed)
    null = _rate(scores, name, SHUFFLED)
    severities = scores.select(method=name, similarity=SEVERITY)
    controls = tuple(_rate(scores, name, key.role) for key, _ in severities if key.arm == CONTROL)
    drift = _known(_column(scores, name, BUG, DRIFT))
    regressed = None if np.isnan(p) else bool(p < level)
    return Outcome(
        name,
        one.claim,
        allowed,
        verdict,
        _reason(
            violations, n, total - n, (low, high), allowed, verdict, controls, regressed, level
        ),
        n,
        total - n,
        violations,
        share,
        low,
        high,
        float(values.mean()),
        null,
        float(drift.mean()) if len(drift) else NAN,
        _worst(_column(scores, name, BUG, SEVERITY)),
        float(np.mean(controls)) if controls else NAN,
        controls,
        p,
        regressed,
        _note(one, null, allowed),
    )


def judged_rate(low: float, high: float, allowed: float) -> Verdict:
    """What the interval of a rate says of the allowed one."""
    if high <= allowed:
        return "holds"
    return "violated" if low > allowed else "can't tell"


def _column(scores: Scores, name: str, role: str, number: str) -> Column:
    key = key_of(name, role, number)
    return scores[key] if key in scores else Column(np.empty(0, np.int64), np.empty(0))


def _known(column: Column) -> Floats:
    return column.values[~np.isnan(column.values)]


def _rate(scores: Scores, name: str, role: str) -> float:
    values = _known(_column(scores, name, role, SEVERITY))
    return float((values > 0).mean()) if len(values) else NAN


def _worst(column: Column) -> tuple[int, ...]:
    order = np.argsort(-np.nan_to_num(column.values), kind="stable")[:WORST]
    return tuple(int(column.rows[k]) for k in order if column.values[k] > 0)


def _reason(
    violations: int,
    n: int,
    missing: int,
    ends: tuple[float, float],
    allowed: float,
    verdict: Verdict,
    controls: Sequence[float],
    regressed: bool | None,
    level: float,
) -> str:
    said = f"{violations} of {n} inputs violate it, {num(violations / n)} {interval(ends)}; "
    said += f"{allowed:g} is allowed."
    if missing:
        said += f" {missing} more have no severity."
    least = fewest_for_rate(allowed, 1 - level)
    if verdict == "can't tell" and n < least:
        said += f" At least {least} inputs are needed to say that it holds."
    if regressed is not None:
        more = "more than" if regressed else "not shown to be more than"
        whose = "reference's" if len(controls) == 1 else "references'"
        said += f" {more.capitalize()} the {whose} {', '.join(num(rate) for rate in controls)}."
    return said


def _note(one: Assertion, null: float, allowed: float) -> str:
    """What a shuffled map's rate says of the threshold; empty if the threshold is telling."""
    if one.chance == "fails" and null <= allowed:
        return (
            f"Shuffled maps violate it at a rate of {num(null)} only, so that it asks next to "
            "nothing of a map: raise the threshold."
        )
    if one.chance == "holds" and null > allowed / 2:
        return (
            f"Shuffled maps violate it at a rate of {num(null)}, more than half of the allowed "
            f"{allowed:g}: violations may be chance, so loosen the threshold."
        )
    return ""


def too_few(rate: float, n: int, level: float) -> str:
    """The warning that `n` inputs can't show a rate as low as allowed; empty if they can."""
    least = fewest_for_rate(rate, 1 - level)
    if n >= least:
        return ""
    lowest = wilson_interval(0.0, n, 1 - level)[1]
    return (
        f"with {n} inputs no assertion can be said to hold at a rate of {rate:g}: even without a "
        f"violation, the rate may be {num(lowest, 3)}. Use at least {least} inputs, or allow more."
    )
