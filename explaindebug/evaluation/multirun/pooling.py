"""Several runs merged into one, so that a run's tables, figures and page can show them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from explaindebug.evaluation.multirun.comparison import Across, Variant
from explaindebug.evaluation.multirun.detection import Repeated, detectors_across
from explaindebug.evaluation.multirun.sweeps import Sweep, sweeps
from explaindebug.evaluation.results import RunResult, TestResult, Verdict, counted_runs
from explaindebug.evaluation.scores import Key, Scores


class Merged(NamedTuple):
    """Several runs as one."""

    result: RunResult
    verdicts: list[Verdict]
    further: list[Verdict]  # answers to further questions


@dataclass(frozen=True)
class Several:
    """What the page of several runs has in addition to that of one, by the merged tests' names."""

    verdicts: Mapping[tuple[str, str], Sequence[Verdict]] = field(default_factory=dict)
    answers: Mapping[tuple[str, str, str], Sequence[Verdict]] = field(default_factory=dict)
    detectors: Mapping[str, Sequence[Repeated]] = field(default_factory=dict)
    sweeps: Sequence[Sweep] = ()


def merged(result: Across, made: Mapping[str, str]) -> Merged:
    """A run with one test per variant, its scores averaged over seeds, and the verdicts.

    An input without a score in one of the runs has none here. A run whose gate failed is left out
    of its variant, with a warning; if all failed, the first one represents them.
    """
    tests, judged, further = [], [], []
    for i, (name, variant) in enumerate(zip(_names(result.variants), result.variants, strict=True)):
        tests.append(_test(variant, name))
        judged += _renamed(result.together[i].values(), name)
        further += _renamed(result.asked[i], name)
    rows = [
        (f"{run.name}: {model}", data, accuracy)
        for run in result.runs
        for model, data, accuracy in run.result.accuracies
    ]
    return Merged(RunResult(tests, result.methods, rows, made), judged, further)


def several(result: Across) -> Several:
    """Each run's own verdicts and answers, the detectors, and the sweeps."""
    names = list(_names(result.variants))
    own = zip(names, result.alone, strict=True)
    asked = zip(names, result.asked_alone, strict=True)
    return Several(
        {(name, method): each for name, alone in own for method, each in alone.items()},
        {(name, *question): each for name, alone in asked for question, each in alone.items()},
        dict(zip(names, detectors_across(result), strict=True)),
        sweeps(result),
    )


def _renamed(found: Iterable[Verdict], test: str) -> list[Verdict]:
    return [replace(verdict, test=test) for verdict in found]


def _names(variants: Sequence[Variant]) -> Iterator[str]:
    """The tests' names, numbered if a test was run under several settings."""
    for i, variant in enumerate(variants):
        alone = sum(other.test == variant.test for other in variants) == 1
        yield variant.test if alone else f"{variant.test}-{i + 1}"


def _test(variant: Variant, name: str) -> TestResult:
    results = variant.results
    told = counted_runs(results)
    counted, first = {id(test) for test in told}, told[0]
    left_out = [
        f"{run.name} is left out: {gate.said}."
        for run, test in zip(variant.runs, results, strict=True)
        for gate in test.gates
        if not gate.passed and id(test) not in counted
    ]
    return TestResult(
        name,
        variant.title,
        first.headline,
        mean_scores([test.scores for test in told], name),
        gates=[
            gate if len(told) == 1 else replace(gate, name=f"{gate.name} ({run.name})")
            for run, test in zip(variant.runs, results, strict=True)
            if id(test) in counted
            for gate in test.gates
        ],
        stages=first.stages,
        facts={"runs": len(told), **_common(told)},
        clusters=first.clusters,
        questions=first.questions,
        kind=first.kind,
        rows=first.rows,
        layout=first.layout,
        domains=first.domains,
        warnings=[*left_out, *dict.fromkeys(said for test in told for said in test.warnings)],
    )


def mean_scores(tables: Sequence[Scores], test: str) -> Scores:
    """Each input's score averaged over tables, under another test's name.

    Only keys and inputs that all tables have are kept; a NaN in one table makes the mean NaN.
    """
    total = Scores()
    for key, (rows, _) in tables[0]:
        columns = [table[key] for table in tables if key in table]
        if len(columns) < len(tables):
            continue
        shared = rows[np.all([np.isin(rows, column.rows) for column in columns], axis=0)]
        stacked = [column.values[np.isin(column.rows, shared)] for column in columns]
        total.add(Key(test, *key[1:]), shared, np.mean(stacked, axis=0) if len(shared) else [])
    return total


def _common(tests: Sequence[TestResult]) -> dict[str, object]:
    """The facts that all runs agree on."""
    first = tests[0].facts
    return {k: v for k, v in first.items() if all(t.facts.get(k) == v for t in tests)}
