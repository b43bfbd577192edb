"""Several runs as one run, so that tables, figures and the page of a run show them, too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from explaindebug import wording
from explaindebug.across import Across, Variant
from explaindebug.results import RunResult, TestResult
from explaindebug.scores import Key, Scores
from explaindebug.verdicts import Verdict


def merged(result: Across, made: Mapping[str, str]) -> tuple[RunResult, list[Verdict]]:
    """A run with one test for each variant, its scores the means over seeds, and the verdicts.

    An input that has no score in one of the runs has none here. A run whose gate failed is left
    out of its variant, with a warning, unless all have failed.
    """
    tests, judged = [], []
    names = _names(result.variants)
    for name, variant, verdicts in zip(names, result.variants, result.together, strict=True):
        tests.append(_test(variant, name))
        judged += [replace(verdict, test=name) for verdict in verdicts.values()]
    rows = [
        (f"{run.name}: {model}", data, accuracy)
        for run in result.runs
        for model, data, accuracy in run.result.accuracies
    ]
    return RunResult(tests, result.methods, rows, made), judged


def repeats(result: Across) -> dict[tuple[str, str], list[Verdict]]:
    """Each run's own verdicts, by the merged test's name and the method."""
    return {
        (name, method): each
        for name, alone in zip(_names(result.variants), result.alone, strict=True)
        for method, each in alone.items()
    }


def _names(variants: Sequence[Variant]) -> Iterator[str]:
    """The tests' names, numbered where one test was run under several settings."""
    for i, variant in enumerate(variants):
        alone = sum(other.test == variant.test for other in variants) == 1
        yield variant.test if alone else f"{variant.test}-{i + 1}"


def _test(variant: Variant, name: str) -> TestResult:
    results = variant.results
    told = [test for test in results if not wording.is_void(test)] or results[:1]
    first = told[0]
    left_out = [
        f"{run.name} is left out: {wording.gate(gate)}."
        for run, test in zip(variant.runs, results, strict=True)
        for gate in test.gates
        if not gate.passed and test not in told
    ]
    return TestResult(
        name,
        variant.title,
        first.headline,
        mean_scores([test.scores for test in told], name),
        gates=[
            gate if len(told) == 1 else replace(gate, name=f"{gate.name} ({run.name})")
            for run, test in zip(variant.runs, results, strict=True)
            if test in told
            for gate in test.gates
        ],
        stages=first.stages,
        facts={"runs": len(told), **_common(told)},
        clusters=first.clusters,
        warnings=[*left_out, *dict.fromkeys(said for test in told for said in test.warnings)],
    )


def mean_scores(tables: Sequence[Scores], test: str) -> Scores:
    """The mean over tables of each input's score, under another test's name.

    Only keys and inputs that all tables have are kept; a NaN in one is a NaN in the mean.
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
    """The facts that are the same in all runs."""
    first = tests[0].facts
    return {k: v for k, v in first.items() if all(t.facts.get(k) == v for t in tests)}
