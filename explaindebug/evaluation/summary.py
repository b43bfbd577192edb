"""Scores summarised over inputs: mean, standard error, interval, and excess over the null."""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from explaindebug.core.io import write_csv
from explaindebug.evaluation.inference import bootstrap_interval, mean_sem
from explaindebug.evaluation.nulls import is_matched
from explaindebug.evaluation.roles import BUG, NULL, null_role
from explaindebug.evaluation.scores import Floats, Key, Scores, headed
from explaindebug.evaluation.similarities import SIMILARITIES
from explaindebug.evaluation.similarities.labels import registered

TOGETHER = 512  # columns resampled at once: their means take 8 MB


class Summary(NamedTuple):
    """Summary of one column of scores over its inputs; NaN for numbers that do not exist."""

    test: str
    method: str
    condition: str
    role: str
    similarity: str
    n: int  # inputs with a score
    missing: int  # inputs whose score is NaN; they are not averaged
    mean: float
    sem: float  # sample standard deviation over root n
    low: float  # 95 % bootstrap interval of the mean
    high: float
    null: float  # mean of the matched null
    excess: float  # (mean - null) / (identical - null): 0 unrelated, 1 identical
    excess_gaussian: float  # the same for each null by name
    excess_shuffled: float
    excess_other: float
    excess_edges: float


EXCESS = "excess_"
NAMED = tuple(x.removeprefix(EXCESS) for x in Summary._fields if x.startswith(EXCESS))  # nulls


def summarise(
    scores: Scores, *, null: str = "gaussian", level: float = 0.95, seed: int = 0
) -> list[Summary]:
    """A `Summary` per key, in the table's order; 10,000 keys of 190 inputs take a second.

    `null` names the null used for `null` and `excess`; if it was not scored, the first that was is
    used. The excess is computed from means (ratios per input would explode if the null is near 1).
    It is NaN for nulls themselves and for similarities that are not registered.
    """
    finite = {key: column.values[~np.isnan(column.values)] for key, column in scores}
    found = _numbers(finite, level, seed)
    nulls = null_means(scores, null)
    each = [null_means(scores.select(role=null_role(name)), name) for name in NAMED]
    lines = []
    for key, column in scores:
        n, mean = len(finite[key]), found[key][0]
        bug = None if key.arm == NULL else key._replace(role=BUG)  # a null has no null of its own
        over, *others = (means.get(bug, math.nan) if bug else math.nan for means in (nulls, *each))
        excesses = [_excess(key.similarity, mean, x) for x in (over, *others)]
        lines.append(Summary(*key, n, len(column.values) - n, *found[key], over, *excesses))
    return lines


def null_means(scores: Scores, null: str = "gaussian") -> dict[Key, float]:
    """Mean score of the null of that name, or else of the first matched one, by the bug's key."""
    means: dict[Key, float] = {}
    for key, (_, values) in scores:
        if key.arm != NULL:
            continue
        bug = key._replace(role=BUG)
        if key.null == null or (is_matched(key.null) and bug not in means):
            values = values[~np.isnan(values)]
            means[bug] = float(values.mean()) if len(values) else math.nan
    return means


def write_summary(scores: Scores, path: Path | str, rows_are: str = "method") -> list[Summary]:
    """Write `summarise(scores)` as CSV, a line per key, atomically; and return it."""
    found = summarise(scores)
    write_csv(path, headed(Summary._fields, rows_are), found)
    return found


def _numbers(
    finite: Mapping[Key, Floats], level: float, seed: int
) -> dict[Key, tuple[float, float, float, float]]:
    """Mean, SEM and interval of each column; columns of equal length are computed together."""
    by_size: dict[int, list[Key]] = defaultdict(list)
    for key, values in finite.items():
        by_size[len(values)].append(key)
    found = {}
    for all_keys in by_size.values():
        for start in range(0, len(all_keys), TOGETHER):
            keys = all_keys[start : start + TOGETHER]
            values = np.stack([finite[key] for key in keys])
            numbers = *mean_sem(values), *bootstrap_interval(values, level, seed=seed)
            for key, mean, sem, low, high in zip(keys, *numbers, strict=True):
                found[key] = float(mean), float(sem), float(low), float(high)
    return found


def _excess(similarity: str, mean: float, null: float) -> float:
    name = registered(similarity)
    if name not in SIMILARITIES:
        return math.nan
    identical = SIMILARITIES[name].identical
    return (mean - null) / (identical - null) if identical != null else math.nan
