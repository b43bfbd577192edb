"""Detectors: how well a score per example separates the examples with the bug from the others.

A similarity compares two models, but whoever debugs a model does not have the good one. A detector
needs one model only: statistics of its maps, its loss, its confidence. It is measured by the area
under the ROC curve, 0.5 for an uninformative score.

Three numbers, each with a 95 % bootstrap interval (examples resampled within both groups), and the
range of the area under permuted labels as matched null. Many statistics are tried at once, and the
best of many is high by chance; `p` is adjusted by the largest deviation among all detectors of a
test under each permutation (Westfall and Young), so a test without any informative detector has one
with p below 0.05 in 5 % of cases.

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
from explaindebug.evaluation.scores import headed

RESAMPLES = 1000
PERMUTATIONS = 2000
FEWEST = 5  # examples in either group; with fewer, intervals are meaningless


Cut = Literal["precision", "fpr95"]


class Name(NamedTuple):
    """The source of a score: `("grad", "entropy")`, or `("", "loss")` if it needs no map."""

    method: str
    statistic: str


@dataclass(frozen=True)
class Detector:
    """How well one score finds the examples with the bug; NaN if that can't be measured.

    Higher scores mean the bug. An area significantly below 0.5 separates the groups too, in the
    other direction; `p` is two-sided.
    """

    test: str  # "labels", "ood"
    finds: str  # "flipped labels", "foreign inputs"
    method: str  # whose maps, as in configs; empty for a detector without maps
    statistic: str  # "entropy", "gini", "zeros", "norm"; "loss", "self-influence", "msp", "energy"
    positives: int
    negatives: int
    missing: int  # examples without a score, which are left out
    auroc: float
    auroc_low: float
    auroc_high: float
    null_low: float  # 95 % of areas under permuted labels are between this
    null_high: float  # and this
    p: float  # two-sided, of the area against 0.5, adjusted for all detectors of the test
    fpr95: float  # share of negatives flagged at the threshold that flags 95 % of the positives
    fpr95_low: float
    fpr95_high: float
    rate: float  # share of positives where the detector is used: the precision by chance
    precision: float  # share of positives among the `rate` highest scores
    precision_low: float
    precision_high: float
    cut: Cut  # the number at a threshold that tables show
    trouble: str = ""  # why there are no numbers, as a sentence


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

    `rate` is the share of positives where detectors will be used; None is that of the sample.
    `accept=True` defines `fpr95` as papers on out-of-distribution inputs do, the share of positives
    accepted at the threshold that accepts 95 % of the negatives, and makes it the number that
    tables show (`cut`).

    Raises:
        DataError: if the shapes of scores and examples don't match.
    """
    positive = np.asarray(positive, np.bool_)
    table = np.array([np.asarray(column, np.float64) for column in scores.values()])
    if table.shape != (len(scores), len(positive)):
        raise DataError(f"got {len(positive)} examples, but scores of the shape {table.shape}.")
    table[~np.isfinite(table)] = np.nan
    rate = float(positive.mean()) if rate is None else rate
    metrics: dict[str, Callable[[Curve], Floats]] = {
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
        }
        if trouble:
            numbers.update(_nan(metrics))
        else:
            numbers.update(_numbers(column[known], positive[known], metrics, seed))
        found.append(
            Detector(
                test=test,
                finds=finds,
                method=name.method,
                statistic=name.statistic,
                rate=rate,
                cut="fpr95" if accept else "precision",
                trouble=trouble,
                **numbers,
                **null,
            )
        )
    return found


def of_maps(found: Sequence[Detector]) -> list[Detector]:
    """The detectors that use maps and could be measured."""
    return [detector for detector in found if detector.method and not detector.trouble]


def best_of_maps(found: Sequence[Detector]) -> Detector | None:
    """Of the detectors that use maps, the one whose area is farthest from 0.5; None without any.

    As the best of many, its area is high by chance; its p is adjusted for that, its interval not.
    """
    return max(of_maps(found), key=lambda d: abs(d.auroc - 0.5), default=None)


def write_detectors(found: Sequence[Detector], path: Path | str, rows_are: str = "method") -> None:
    """Write the detectors as CSV, one row each, atomically."""
    columns = headed([field.name for field in fields(Detector)], rows_are)
    write_csv(path, columns, map(astuple, found))


def _trouble(column: Floats, positive: Bools) -> str:
    known = ~np.isnan(column)
    least = min(int((known & positive).sum()), int((known & ~positive).sum()))
    if least < FEWEST:
        return (
            f"only {least} examples of one group have a score, but {FEWEST} are needed in both: "
            "use more examples."
        )
    return ""


def _numbers(
    scores: Floats, positive: Bools, metrics: Mapping[str, Callable[[Curve], Floats]], seed: int
) -> dict[str, float]:
    """Each metric with the ends of its interval."""
    observed = roc(scores, positive)
    resampled = roc(scores, positive, _resamples(tuple(positive.tolist()), seed))
    numbers: dict[str, float] = {}
    for name, metric in metrics.items():
        low, high = np.quantile(metric(resampled), [0.025, 0.975])
        numbers[name] = float(metric(observed))
        numbers[f"{name}_low"], numbers[f"{name}_high"] = float(low), float(high)
    return numbers


@lru_cache(maxsize=4)  # most detectors of a test have a score for every example
def _resamples(labels: tuple[bool, ...], seed: int) -> Floats:
    """Weights (resamples, n) of examples drawn with replacement within each group."""
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
    """The range of areas under permuted labels, and the adjusted p of the observed ones."""
    nothing = {"null_low": math.nan, "null_high": math.nan, "p": math.nan}
    judged = np.array([not trouble for trouble in troubles], np.bool_)
    if not judged.any():
        return [nothing for _ in troubles]
    permuted = permuted_aurocs(table[judged], positive, PERMUTATIONS, seed)
    spread = permuted.std(1, keepdims=True)
    spread[spread < 1e-9] = np.inf  # constant scores never deviate
    largest = (np.abs(permuted - 0.5) / spread).max(0)
    observed = [float(auroc(_known(column, positive))) for column in table[judged]]
    deviation = np.abs(np.array(observed) - 0.5) / spread[:, 0]
    reached = (largest >= deviation[:, None] - 1e-9).sum(1)
    p = (1 + reached) / (1 + PERMUTATIONS)
    low, high = np.quantile(permuted, [0.025, 0.975], axis=1)
    rows = iter(zip(low.tolist(), high.tolist(), p.tolist(), strict=True))
    return [
        dict(zip(nothing, next(rows), strict=True)) if judge else nothing
        for judge in judged.tolist()
    ]


def _known(column: Floats, positive: Bools) -> Curve:
    known = ~np.isnan(column)
    return roc(column[known], positive[known])


def _accepted(curve: Curve) -> Floats:
    """Share of positives accepted at the threshold that accepts 95 % of the negatives."""
    return fpr_at_tpr(Curve(1 - curve.tpr[..., ::-1], 1 - curve.fpr[..., ::-1]))


def _nan(metrics: Mapping[str, object]) -> dict[str, float]:
    return {f"{name}{end}": math.nan for name in metrics for end in ("", "_low", "_high")}
