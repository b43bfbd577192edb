"""Which of a test's repetitions count, in everything that is made of several runs."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_run import fake_run
from run_folders import shaken

from explaindebug.evaluation.multirun.comparison import across, lines
from explaindebug.evaluation.multirun.pooling import merged, several
from explaindebug.evaluation.results import Gate, TestResult, counted_runs
from explaindebug.evaluation.runs import Run
from explaindebug.evaluation.verdicts import verdicts

SETTINGS = {"seed": 0, "margin": 0.1, "level": 0.05}
LABELS = replace(fake_run(inputs=1, size=16), tests=[fake_run(inputs=1, size=16).tests[1]])


def run(seed: int, gate: float) -> Run:
    """A run of the test for wrong labels, whose gate needs 0.9."""
    result = shaken(LABELS, seed)
    result.tests[0].gates = [Gate("accuracy", gate, 0.9, "not learned")]
    return Run(Path(f"run{seed}"), result, SETTINGS | {"seed": seed})


@pytest.mark.parametrize(
    ("gates", "counted"),
    [((1, 1, 1), [0, 1, 2]), ((0, 1, 1), [1, 2]), ((1, 0, 0), [0]), ((0, 0, 0), [0])],
)
def test_tables_verdicts_and_detectors_count_the_same_runs(
    gates: tuple[int, ...], counted: list[int]
) -> None:
    runs = [run(seed, gate) for seed, gate in enumerate(gates)]
    tests: list[TestResult] = [one.result.tests[0] for one in runs]
    assert [id(x) for x in counted_runs(tests)] == [id(tests[i]) for i in counted]
    found = across(runs)
    (test,) = merged(found, {}).result.tests
    assert test.facts["runs"] == len(counted)
    left_out = [w.split()[0] for w in test.warnings if "left out" in w]
    assert left_out == [f"run{i}" for i in range(3) if i not in counted]
    assert test.void == (not any(gates))
    (detectors,) = several(found).detectors.values()
    assert detectors[0].runs == len(counted)
    own = [verdicts([tests[i]])[0].bug for i in counted]
    line = next(lines(found))
    assert found.together[0][line.method].bug == pytest.approx(sum(own) / len(own))
    assert (line.runs, line.void) == (sum(gates), 3 - sum(gates))
    assert (line.sd > 0) == (len(counted) > 1)
