"""Several runs as one result: which belong together, and what their seeds say together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np

from explaindebug.errors import DataError
from explaindebug.results import TestResult
from explaindebug.runs import Run
from explaindebug.verdicts import Verdict, repeated_verdicts, verdicts

# What all runs must share, or their numbers mean different things.
SAME = ("attributions", "similarities", "postprocessing", "nulls", "probe", "margin", "level")
STORED = ("output", "store", "logger", "callbacks")
TECHNICAL = ("workers", "threads", "chunk", "pictures")  # they change no number
NEEDS_FOREIGN = "ood"  # data of the other domain matter to the test that uses them


class Variant(NamedTuple):
    """One test under one setting: a run for each seed."""

    test: str
    setting: str  # in what it differs from the others: "bug.labels.rate=0.2"; empty for nothing
    runs: tuple[Run, ...]

    @property
    def results(self) -> list[TestResult]:
        """The test as each of the runs measured it."""
        return [test for run in self.runs for test in run.result.tests if test.name == self.test]

    @property
    def title(self) -> str:
        """`Out of distribution (model.name=resnet18)`."""
        title = self.results[0].title
        return f"{title} ({self.setting})" if self.setting else title


@dataclass(frozen=True, eq=False)
class Across:
    """Several runs, their verdicts each by itself, and those of all seeds of a variant together."""

    runs: Sequence[Run]
    variants: Sequence[Variant]
    alone: Sequence[Mapping[str, list[Verdict]]]  # for each variant: method -> a verdict per run
    together: Sequence[Mapping[str, Verdict]]  # for each variant: method -> verdict

    @property
    def methods(self) -> Mapping[str, str]:
        """Name in configs -> name in tables, the same in all runs."""
        return self.runs[0].result.methods


class Line(NamedTuple):
    """One method under one variant, over its runs."""

    test: str
    setting: str
    method: str
    runs: int  # that could be judged
    void: int  # whose gate failed
    shows: int  # by themselves
    doesnt: int
    cant_tell: int
    effect: float  # mean over the runs
    sd: float  # of the effect between runs; NaN for one
    low: float
    high: float
    p: float
    p_adjusted: float  # over all lines
    p_absent: float
    p_absent_adjusted: float
    answer: str
    n: int
    reason: str


def across(runs: Sequence[Run]) -> Across:
    """The runs put together.

    Raises:
        DataError: for fewer than two runs, the same one twice, and runs that measured differently.
    """
    if len(runs) < 2:
        raise DataError(f"there is {len(runs)} run, and nothing to compare it with: give two.")
    for one, other in pairwise(runs):
        _check(one, other)
    _refuse_twins(runs)
    found = list(_variants(runs))
    settings = runs[0].settings
    options = {"margin": settings["margin"], "level": settings["level"]}
    own = {run: verdicts(run.result.tests, **options) for run in runs}
    alone = [_by_method(v for run in x.runs for v in own[run] if v.test == x.test) for x in found]
    joint = repeated_verdicts([variant.results for variant in found], **options)
    return Across(runs, found, alone, [{v.method: v for v in group} for group in joint])


def lines(result: Across) -> Iterator[Line]:
    """A `Line` for each variant and method, in the order of the table."""
    for variant, alone, together in zip(
        result.variants, result.alone, result.together, strict=True
    ):
        void = sum(not all(gate.passed for gate in test.gates) for test in variant.results)
        for method, v in together.items():
            answers = [one.answer for one in alone[method]]
            yield Line(
                variant.test,
                variant.setting,
                method,
                len(variant.runs) - void,
                void,
                answers.count("shows"),
                answers.count("doesn't"),
                answers.count("can't tell"),
                v.effect,
                spread(result, variant, method),
                v.low,
                v.high,
                v.p,
                v.p_adjusted,
                v.p_absent,
                v.p_absent_adjusted,
                v.answer,
                v.n,
                v.reason,
            )


def spread(result: Across, variant: Variant, method: str) -> float:
    """Standard deviation between runs of a method's effect; NaN for fewer than two."""
    alone = result.alone[result.variants.index(variant)][method]
    effects = [
        verdict.effect
        for verdict, test in zip(alone, variant.results, strict=True)
        if all(gate.passed for gate in test.gates) and not np.isnan(verdict.effect)
    ]
    return float(np.std(effects, ddof=1)) if len(effects) > 1 else float("nan")


def _by_method(found: Iterator[Verdict]) -> dict[str, list[Verdict]]:
    grouped: dict[str, list[Verdict]] = {}
    for verdict in found:
        grouped.setdefault(verdict.method, []).append(verdict)
    return grouped


def _check(one: Run, other: Run) -> None:
    """Raises DataError where two runs' numbers mean different things, naming the first of these."""
    for key in _differing([one, other], lambda key: _group(key) in SAME):
        mine, yours = (run.settings.get(key, "not set") for run in (one, other))
        raise DataError(
            f"{one.name} and {other.name} don't belong together: {key} is {mine} in the first and "
            f"{yours} in the second. Only runs that measure alike can be compared."
        )
    measured = {test.name: test.headline for test in one.result.tests}
    for test in other.result.tests:
        mine = measured.get(test.name, test.headline)
        if (mine.similarity, mine.moves) != (test.headline.similarity, test.headline.moves):
            raise DataError(
                f"{one.name} and {other.name} don't belong together: {test.name} is judged by "
                f"{mine.similarity} in the first and by {test.headline.similarity} in the second."
            )


def _variants(runs: Sequence[Run]) -> Iterator[Variant]:
    """The tests of all runs, in order, each under every setting that some run has.

    Runs of one seed that differ only in what is nothing to this test measured the same: the first
    one counts.
    """
    names = dict.fromkeys(test.name for run in runs for test in run.result.tests)
    for name in names:
        having = [run for run in runs if name in (test.name for test in run.result.tests)]
        keys = _differing(having, partial(_matters, name))
        groups: dict[str, list[Run]] = {}
        for run in having:
            setting = ", ".join(f"{key}={run.settings.get(key)}" for key in keys)
            groups.setdefault(setting, []).append(run)
        for setting, group in groups.items():
            first = {run.settings["seed"]: run for run in reversed(group)}
            yield Variant(name, setting, tuple(run for run in group if run in first.values()))


def _refuse_twins(runs: Sequence[Run]) -> None:
    """Raises DataError for two runs with one seed and the same settings."""
    for one, other in combinations(runs, 2):
        if not _differing([one, other], lambda key: _group(key) not in (*TECHNICAL, *STORED)):
            raise DataError(
                f"{one.name} and {other.name} are the same run, of seed {one.settings['seed']}: "
                "what is counted twice only looks sure. Leave one out."
            )


def _matters(test: str, key: str) -> bool:
    """Whether a setting decides what a test measures."""
    group = _group(key)
    if group == "bug":
        return key.startswith(f"bug.{test}.")
    if group == "foreign":
        return test == NEEDS_FOREIGN
    return group not in ("seed", *STORED, *TECHNICAL)


def _differing(runs: Sequence[Run], matters: Any) -> list[str]:
    """The settings, of those that matter, which are not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if matters(key))
    first = runs[0].settings
    return [k for k in keys if any(run.settings.get(k) != first.get(k) for run in runs[1:])]


def _group(key: str) -> str:
    return key.partition(".")[0]
