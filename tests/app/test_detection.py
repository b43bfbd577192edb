"""Detectors of a run: which examples they separate, and where they are written."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from explaindebug.debugtests.detection import TOGETHER, calls, picked

Run = Callable[..., tuple[int, str]]
STATISTICS = {"entropy", "gini", "zeros", "norm"}


def lines(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_labels_and_foreign_inputs_have_detectors_with_and_without_maps(
    run: Run, tmp_path: Path
) -> None:
    words = ("bug.labels.rate=0.2", "bug.labels.detect=24", "bug.ood.detect=20", "bug=all")
    assert run("output=out", *words, "~bug.spurious", "~bug.reinit") == (0, "")
    found = lines(tmp_path / "out" / "detectors.csv")
    for test, baselines, ones, zeros, rate in (
        ("labels", {"loss", "self-influence"}, "12", "12", 0.2),
        ("ood", {"msp", "energy"}, "10", "10", 0.5),
    ):
        own = [line for line in found if line["test"] == test]
        assert {line["statistic"] for line in own if not line["method"]} == baselines
        for method in ("grad", "gbp"):
            assert {line["statistic"] for line in own if line["method"] == method} == STATISTICS
        assert {(line["positives"], line["negatives"]) for line in own} == {(ones, zeros)}
        assert {float(line["rate"]) for line in own} == {rate}
        for line in own:
            low, high = float(line["auroc_low"]), float(line["auroc_high"])
            assert low <= float(line["auroc"]) <= high  # test_science.py knows how large they are
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [d["statistic"] for d in results["detectors"]] == [line["statistic"] for line in found]


def test_without_a_bug_nothing_is_told_apart(run: Run, tmp_path: Path) -> None:
    """False alarms: labels that were not flipped, and two halves of one domain."""
    words = ("bug=none", "~bug.spurious", "~bug.reinit", "data.train=200", "data.test=80")
    assert run("output=out", *words, "foreign.test=80", "bug.labels.detect=40") == (0, "")
    found = lines(tmp_path / "out" / "detectors.csv")
    assert {line["test"] for line in found} == {"labels", "ood"}
    assert min(float(line["p"]) for line in found) > 0.01


def test_a_person_is_shown_what_finds_them(run: Run, tmp_path: Path, capsys) -> None:
    from explaindebug.evaluation.detection import Name, detectors
    from explaindebug.evaluation.results import Headline, RunResult, TestResult
    from explaindebug.evaluation.scores import Scores
    from explaindebug.report.console.detection import print_detectors

    flipped = np.arange(100) < 30
    rng = np.random.default_rng(0)
    scores = {
        Name("", "loss"): rng.normal(3.0 * flipped),
        Name("grad", "gini"): rng.normal(size=100),
    }
    scores[Name("gbp", "norm")] = rng.normal(1.5 * flipped)
    scores[Name("gbp", "zeros")] = np.full(100, np.nan)
    found = detectors(scores, flipped, test="labels", finds="flipped labels", rate=0.1)
    headline = Headline("flipped", "spearman", "down", "Is it?")
    test = TestResult("labels", "Mislabelled", headline, Scores(), detectors=found)
    print_detectors(RunResult([test], {"grad": "Grad", "gbp": "PAttribution"}, [], {}))
    said = capsys.readouterr().out
    assert "30 flipped labels among 100" in said
    assert "Norm of PAttribution (best of 2)" in said
    assert "1 of 2 statistics" in said
    assert "Precision@10%" in said
    assert "0 examples of one group" in said
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_no_detectors_where_none_are_wanted(run: Run, tmp_path: Path) -> None:
    assert run("output=out", "bug=labels", "bug.labels.rate=0.2", "bug.labels.detect=0") == (0, "")
    assert lines(tmp_path / "out" / "detectors.csv") == []
    status, error = run("output=no", "bug=ood", "bug.ood.detect=-1")
    assert status == 1
    assert "bug.ood.detect" in error
    assert "-1" in error


def test_examples_are_picked_by_the_seed_alone() -> None:
    rows = np.arange(5, 400, 3)
    first, again, other = (picked(rows, 40, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first)) == 40
    assert set(first) <= set(rows.tolist())
    assert len(picked(rows[:7], 40, 0)) == 7


def test_calls_are_counted_for_the_progress_bar() -> None:
    assert [calls(n) for n in (0, 1, TOGETHER, TOGETHER + 1)] == [0, 1, 1, 2]
