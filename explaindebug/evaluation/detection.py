"""Could a person find the examples with the bug by this number? Detectors, one score per example.

A similarity compares two models, and nobody who debugs has the good one. A detector looks at one
model: at what its maps look like, at its loss, at its confidence. How well it parts the examples
with the bug from the others is its area under the ROC curve, 0.5 for a detector that knows nothing.

Three numbers, each with a 95 % bootstrap interval (examples resampled within both groups), and next
to the area what it is under labels that were dealt anew: the matched null. Many statistics are
tried at once, and the best of many is high by chance; `p` is that of the largest deviation among
all detectors of a test under one deal (Westfall and Young), so that a test in which no detector
knows anything has one with p below 0.05 in 5 % of cases.

Source: Fawcett, An introduction to ROC analysis, 2006; Westfall, Young 1993 (maxT).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from explaindebug.core.errors import DataError
from explaindebug.core.io import write_csv
from explaindebug.evaluation.roc import (
    Bools,
    Curve,
    Floats,
    auroc,
    fpr_at_tpr,
    permuted_aurocs,
    precision_at_rate,
    roc,
)

RESAMPLES = 1000
PERMUTATIONS = 2000
FEWEST = 5  # examples in either group; fewer have no interval worth the name


Cut = Literal["precision", "fpr95"]


class Name(NamedTuple):
    """What gives the score: `("grad", "entropy")`, or `("", "loss")` for one that needs no map."""

    method: str
    statistic: str


@dataclass(frozen=True)
class Detector:
    """How well one number finds the examples with the bug; NaN where that can't be said.

    Higher scores mean the bug. An area surely below 0.5 parts the groups as well, the other way
    round; `p` counts both.
    """

    test: str  # "labels", "ood"
    finds: str  # "flipped labels", "foreign inputs"
    method: str  # whose maps, as in configs; empty for a detector without maps
    statistic: str  # "entropy", "gini", "zeros", "norm"; "loss", "self-influence", "msp", "energy"
    positives: int
    negatives: int
    missing: int  # examples without a score: counted, and left out
    auroc: float
    auroc_low: float
    auroc_high: float
    null_low: float  # 95 % of areas under labels dealt anew lie from here
    null_high: float
    p: float  # of an area this far from 0.5, either way, adjusted for all detectors of the test
    fpr95: float  # negatives that are flagged where 95 % of the positives are
    fpr95_low: float
    fpr95_high: float
    rate: float  # share of positives where the detector is used; precision by chance
    precision: float  # positives among the `rate` highest scores
    precision_low: float
    precision_high: float
    cut: Cut  # which of `fpr95` and `precision` tells what somebody gets who draws a line
    trouble: str = ""  # why there are no numbers, a sentence


def detectors(
    scores: Mapping[Name, npt.ArrayLike],
    positive: npt.ArrayLike,
    *,
    test: str,
    finds: str,
    rate: float | None = None,
    accept: bool = False,
    seed: int = 0,
) -> list[Detector]:
    """A `Detector` for each column of scores (n,), given which examples have the bug (n,).

    `rate` is the share of positives where detectors are to be used, that of the sample where not
    given. `accept=True` reads `fpr95` as papers on foreign inputs do, positives that pass as good
    where 95 % of the good are accepted, and makes it the number that tables show (`cut`).

    Raises:
        DataError: where scores and examples don't belong together.
    """
    positive = np.asarray(positive, np.bool_)
    table = np.array([np.asarray(column, np.float64) for column in scores.values()])
    if table.shape != (len(scores), len(positive)):
        raise DataError(f"{len(positive)} examples, but scores of the shape {table.shape}.")
    table[~np.isfinite(table)] = np.nan
    rate = float(positive.mean()) if rate is None else rate
    read: dict[str, Callable[[Curve], Floats]] = {
        "auroc": auroc,
        "fpr95": _accepted if accept else fpr_at_tpr,
        "precision": lambda curve: precision_at_rate(curve, rate),
    }
    troubles = [_trouble(column, positive) for column in table]
    nulls = _nulls(table, positive, troubles, seed)
    found = []
    for name, column, trouble, null in zip(scores, table, troubles, nulls, strict=True):
        known = ~np.isnan(column)
        numbers: dict[str, Any] = {
            "positives": int((known & positive).sum()),
            "negatives": int((known & ~positive).sum()),
            "missing": int((~known).sum()),
            **(_nothing(read) if trouble else _numbers(column[known], positive[known], read, seed)),
        }
        numbers |= {"test": test, "finds": finds, "rate": rate, "trouble": trouble}
        numbers["cut"] = "fpr95" if accept else "precision"
        found.append(Detector(**name._asdict(), **numbers, **null))
    return found


def of_maps(found: Sequence[Detector]) -> list[Detector]:
    """Those that look at maps and have a number."""
    return [detector for detector in found if detector.method and not detector.trouble]


def best_of_maps(found: Sequence[Detector]) -> Detector | None:
    """Of those that look at maps the one whose area is farthest from 0.5; None without any.

    Its area is high by chance, as the best of many; its p knows that, its interval does not.
    """
    return max(of_maps(found), key=lambda d: abs(d.auroc - 0.5), default=None)


def write_detectors(found: Sequence[Detector], path: Path | str) -> None:
    """Write the detectors as CSV, a line each, all or nothing."""
    write_csv(path, [field.name for field in fields(Detector)], map(astuple, found))


def _trouble(column: Floats, positive: Bools) -> str:
    known = ~np.isnan(column)
    least = min(int((known & positive).sum()), int((known & ~positive).sum()))
    if least < FEWEST:
        return (
            f"{least} examples of one group have a score, {FEWEST} are needed in both: ask for "
            "more examples."
        )
    return ""


def _numbers(
    scores: Floats, positive: Bools, read: Mapping[str, Callable[[Curve], Floats]], seed: int
) -> dict[str, float]:
    """Each number with the ends of its interval."""
    seen = roc(scores, positive)
    drawn = roc(scores, positive, _resamples(tuple(positive.tolist()), seed))
    numbers: dict[str, float] = {}
    for name, of in read.items():
        low, high = np.quantile(of(drawn), [0.025, 0.975])
        numbers |= {name: float(of(seen)), f"{name}_low": float(low), f"{name}_high": float(high)}
    return numbers


@lru_cache(maxsize=4)  # most detectors of a test have a score for every example
def _resamples(labels: tuple[bool, ...], seed: int) -> Floats:
    """Weights (resamples, n) of examples drawn with replacement, each group by itself."""
    positive = np.array(labels)
    rng = np.random.default_rng((seed, 0))
    weights = np.zeros((RESAMPLES, len(positive)))
    for group in (positive, ~positive):
        n = int(group.sum())
        weights[:, group] = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return weights


def _nulls(
    table: Floats, positive: Bools, troubles: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Where areas lie under labels dealt anew, and the adjusted p of those that were seen."""
    nothing = {"null_low": math.nan, "null_high": math.nan, "p": math.nan}
    judged = np.array([not trouble for trouble in troubles], np.bool_)
    if not judged.any():
        return [nothing for _ in troubles]
    dealt = permuted_aurocs(table[judged], positive, PERMUTATIONS, seed)
    spread = dealt.std(1, keepdims=True)
    spread[spread < 1e-9] = np.inf  # a constant score deviates nowhere
    largest = (np.abs(dealt - 0.5) / spread).max(0)
    seen = [float(auroc(_known(column, positive))) for column in table[judged]]
    deviation = np.abs(np.array(seen) - 0.5) / spread[:, 0]
    reached = (largest >= deviation[:, None] - 1e-9).sum(1)
    p = (1 + reached) / (1 + PERMUTATIONS)
    low, high = np.quantile(dealt, [0.025, 0.975], axis=1)
    rows = iter(zip(low.tolist(), high.tolist(), p.tolist(), strict=True))
    return [
        dict(zip(nothing, next(rows), strict=True)) if judge else nothing
        for judge in judged.tolist()
    ]


def _known(column: Floats, positive: Bools) -> Curve:
    known = ~np.isnan(column)
    return roc(column[known], positive[known])


def _accepted(curve: Curve) -> Floats:
    """Positives that pass as good where 95 % of the good are accepted."""
    return fpr_at_tpr(Curve(1 - curve.tpr[..., ::-1], 1 - curve.fpr[..., ::-1]))


def _nothing(read: Mapping[str, object]) -> dict[str, float]:
    return {f"{name}{end}": math.nan for name in read for end in ("", "_low", "_high")}
