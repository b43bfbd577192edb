"""Detectors over several runs: means, their spread, and in how many they are beyond chance."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest

from explaindebug.evaluation.detection import Detector, Name, detectors
from explaindebug.evaluation.multirun.detection import (
    best_of_maps,
    repeated,
    write_detectors_across,
)

POSITIVE = np.arange(100) < 50


def one_run(seed: int, broken: bool = False) -> list[Detector]:
    rng = np.random.default_rng(seed)
    scores = {
        Name("", "loss"): rng.normal(2.0 * POSITIVE),
        Name("grad", "gini"): rng.normal(size=100),
    }
    scores[Name("gbp", "norm")] = rng.normal(-1.5 * POSITIVE)
    scores[Name("gbp", "zeros")] = np.full(100, np.nan) if broken else rng.normal(size=100)
    return detectors(scores, POSITIVE, test="labels", finds="flipped labels", rate=0.1)


RUNS = [one_run(seed, broken=seed == 2) for seed in range(3)]
FOUND = repeated(RUNS, test="labels", setting="bug.labels.rate=0.1")


def test_each_number_is_the_mean_over_runs_beside_their_spread() -> None:
    loss = FOUND[0]
    areas = [run[0].auroc for run in RUNS]
    assert (loss.statistic, loss.runs, loss.beyond) == ("loss", 3, 3)
    assert loss.auroc == pytest.approx(np.mean(areas))
    assert loss.auroc_sd == pytest.approx(np.std(areas, ddof=1))
    assert (loss.auroc_least, loss.auroc_most) == (min(areas), max(areas))
    assert loss.precision == pytest.approx(np.mean([run[0].precision for run in RUNS]))
    assert loss.fpr95_sd == pytest.approx(np.std([run[0].fpr95 for run in RUNS], ddof=1))


def test_a_run_without_the_number_is_counted_out_and_said() -> None:
    zeros = FOUND[3]
    assert (zeros.statistic, zeros.runs) == ("zeros", 2)
    assert "0 examples of one group have a score" in zeros.trouble
    nowhere = repeated([[replace(RUNS[2][3])]], test="labels")[0]
    assert (nowhere.runs, nowhere.beyond) == (0, 0)
    assert math.isnan(nowhere.auroc)
    assert math.isnan(repeated(RUNS[:1], test="labels")[0].auroc_sd)  # one run has no spread


def test_the_best_of_the_maps_is_that_of_the_means() -> None:
    assert best_of_maps(FOUND) is FOUND[2]  # an area far below a half
    assert best_of_maps(FOUND[:1]) is None
    assert best_of_maps(repeated([[RUNS[2][3]]], test="labels")) is None


def test_they_are_written_a_line_each(tmp_path) -> None:
    write_detectors_across(FOUND, tmp_path / "detectors.csv")
    with open(tmp_path / "detectors.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["statistic"] for line in lines] == ["loss", "gini", "norm", "zeros"]
    assert {line["setting"] for line in lines} == {"bug.labels.rate=0.1"}
    assert float(lines[0]["auroc"]) == FOUND[0].auroc
