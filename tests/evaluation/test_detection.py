"""Detectors: what they find, how sure that is, and what is said where nothing can be."""

import csv
import math
from dataclasses import asdict

import numpy as np
import pytest

from explaindebug.core.errors import DataError
from explaindebug.evaluation.detection import (
    Name,
    best_of_maps,
    detectors,
    of_maps,
    write_detectors,
)

POSITIVE = np.arange(200) < 50


def some(gap: float, seed: int, n: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).normal(gap * POSITIVE[:n])


def found(scores, positive=POSITIVE, **options):
    return detectors(scores, positive, test="labels", finds="flipped labels", **options)


def test_a_signal_is_found_and_noise_is_not() -> None:
    scores = {Name("grad", f"noise {i}"): some(0, i) for i in range(20)}
    scores[Name("", "loss")] = some(1.2, 98)
    *noise, loss = found(scores)
    assert loss.auroc == pytest.approx(0.8, abs=0.07)  # Phi(1.2 / sqrt 2)
    assert loss.auroc_low < loss.auroc < loss.auroc_high
    assert loss.p < 0.01
    assert loss.precision > loss.rate == 0.25
    assert all(d.p > 0.05 for d in noise)
    inside = [d.null_low <= d.auroc <= d.null_high for d in noise]
    assert np.mean(inside) >= 0.8
    assert (loss.method, loss.statistic, loss.positives, loss.negatives) == ("", "loss", 50, 150)


def test_the_best_of_many_is_no_find() -> None:
    """Eight useless detectors at a time: some p below 0.05 in about 5 % of the tables."""
    cries = 0
    for table in range(40):
        scores = {Name("grad", str(i)): some(0, 100 * table + i) for i in range(8)}
        cries += min(d.p for d in found(scores, seed=table)) <= 0.05
    assert cries <= 6  # binomial(40, 0.05): more with a chance of 1 %


def test_intervals_hold_the_true_area() -> None:
    truth = 0.7602  # Phi(1 / sqrt 2)
    pairs = [found({Name("", "x"): some(1.0, seed)})[0] for seed in range(60)]
    assert np.mean([d.auroc_low <= truth <= d.auroc_high for d in pairs]) >= 0.85
    assert np.mean([d.auroc for d in pairs]) == pytest.approx(truth, abs=0.01)


def test_an_area_below_a_half_counts_as_well() -> None:
    up, down = (found({Name("", "x"): sign * some(1.5, 0)})[0] for sign in (1, -1))
    assert down.auroc == pytest.approx(1 - up.auroc)
    assert down.p == up.p < 0.05


def test_fpr95_accepts_the_good_where_asked() -> None:
    scores = {Name("", "x"): np.r_[np.linspace(0, 1, 50), np.linspace(-1, 0.5, 150)]}
    flagged, accepted = (found(scores, accept=a)[0].fpr95 for a in (False, True))
    # 95 % of positives lie above about 0.05, and so do 30 % of the negatives
    assert flagged == pytest.approx(np.mean(scores[Name("", "x")][50:] >= 2 / 49))
    # 95 % of negatives lie below about 0.425, and so do 42 % of the positives
    good = np.sort(scores[Name("", "x")][50:])
    threshold = good[math.ceil(0.95 * 150) - 1]
    assert accepted == pytest.approx(np.mean(scores[Name("", "x")][:50] <= threshold))


def test_missing_scores_are_counted_and_left_out() -> None:
    gaps = some(2, 0)
    gaps[[0, 60, 61]] = np.nan
    gaps[70] = np.inf
    full, part = found({Name("a", "x"): some(2, 0), Name("b", "x"): gaps})
    assert (part.positives, part.negatives, part.missing) == (49, 147, 4)
    assert part.auroc == pytest.approx(full.auroc, abs=0.03)
    assert full.missing == 0


def test_too_few_examples_are_said_and_the_rest_is_judged() -> None:
    lost = np.where(np.arange(200) < 46, np.nan, some(0, 0))
    bad, good = found({Name("grad", "gini"): lost, Name("", "loss"): some(2, 0)})
    assert "4 examples of one group" in bad.trouble
    assert all(math.isnan(x) for x in (bad.auroc, bad.fpr95, bad.precision, bad.p, bad.null_low))
    assert good.p < 0.01
    assert not good.trouble
    few = found({Name("", "loss"): [1.0, 2.0]}, [True, False])
    assert few[0].trouble


def test_a_constant_score_knows_nothing() -> None:
    constant, loss = found({Name("sgrad", "zeros"): np.zeros(200), Name("", "loss"): some(2, 0)})
    assert (constant.auroc, constant.p) == (0.5, 1.0)
    assert constant.precision == pytest.approx(0.25)
    assert loss.p < 0.01


def test_scores_of_other_examples_are_refused() -> None:
    with pytest.raises(DataError, match="200 examples"):
        found({Name("", "loss"): np.zeros(7)})


def test_the_same_seed_gives_the_same_numbers() -> None:
    scores = {Name("", "x"): some(1, 0)}
    assert found(scores) == found(scores)
    assert found(scores, seed=1) != found(scores)


def test_the_file_has_a_line_for_each(tmp_path) -> None:
    made = found({Name("grad", "gini"): some(1, 0), Name("", "loss"): some(2, 1)})
    write_detectors(made, tmp_path / "detectors.csv")
    with open(tmp_path / "detectors.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["statistic"] for line in lines] == ["gini", "loss"]
    for line, detector in zip(lines, made, strict=True):
        assert line.keys() == asdict(detector).keys()
        assert float(line["auroc"]) == detector.auroc


def test_the_best_of_maps_may_work_the_other_way_round() -> None:
    scores = {Name("", "loss"): some(3, 0), Name("grad", "gini"): some(0.3, 1)}
    scores |= {Name("gbp", "norm"): some(-1.5, 2), Name("gbp", "zeros"): np.full(200, np.nan)}
    judged = found(scores)
    assert [d.statistic for d in of_maps(judged)] == ["gini", "norm"]
    assert best_of_maps(judged) is judged[2]
    assert best_of_maps(judged[:1]) is None
