import csv
import math

import numpy as np
import pytest

from explaindebug.evaluation.inference import bootstrap_interval
from explaindebug.evaluation.nulls import NULLS, is_matched
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.summary import Summary, null_means, summarise, write_summary

BUG = Key("ood", "grad", "foreign", "bug", "ssim")


def table() -> Scores:
    scores = Scores()
    scores.add(BUG, range(4), [0.5, 0.7, np.nan, 0.9])
    scores.add(BUG._replace(role="control"), range(4), [0.8, 0.8, 0.8, 0.8])
    scores.add(BUG._replace(role="null: other"), range(4), [0.6, 0.6, 0.6, 0.6])
    scores.add(BUG._replace(role="null: gaussian"), range(4), [0.1, 0.3, 0.2, np.nan])
    scores.add(BUG._replace(method="gbp"), range(2), [np.nan, np.nan])
    return scores


def lines(scores: Scores, **options) -> dict[Key, Summary]:
    return {Key(*line[:5]): line for line in summarise(scores, **options)}


def test_a_nan_is_counted_and_not_averaged() -> None:
    line = lines(table())[BUG]
    values = [0.5, 0.7, 0.9]
    assert (line.n, line.missing) == (3, 1)
    assert line.mean == pytest.approx(0.7)
    assert line.sem == pytest.approx(np.std(values, ddof=1) / 3**0.5)
    assert (line.low, line.high) == pytest.approx(tuple(map(float, bootstrap_interval(values))))


def test_a_column_without_scores_has_no_mean() -> None:
    line = lines(table())[BUG._replace(method="gbp")]
    assert (line.n, line.missing) == (0, 2)
    assert all(map(math.isnan, line[7:]))


def test_excess_is_over_the_null_that_is_asked_for() -> None:
    found = lines(table())
    assert found[BUG].null == pytest.approx(0.2)
    assert found[BUG].excess == pytest.approx((0.7 - 0.2) / (1 - 0.2))
    assert found[BUG._replace(role="control")].excess == pytest.approx((0.8 - 0.2) / (1 - 0.2))
    assert math.isnan(found[BUG._replace(role="null: gaussian")].excess)
    assert lines(table(), null="other")[BUG].null == pytest.approx(0.6)
    assert null_means(table(), "edges") == {BUG: pytest.approx(0.6)}  # the first there is


def test_a_null_that_is_not_matched_is_no_measure() -> None:
    scores = Scores()
    scores.add(BUG, range(2), [0.5, 0.7])
    scores.add(BUG._replace(role="null: gaussian_raw"), range(2), [0.0, 0.0])
    assert null_means(scores) == {}
    assert null_means(scores, "gaussian_raw") == {BUG: 0.0}


def test_excess_over_each_null_stands_beside_it() -> None:
    line = lines(table())[BUG]
    assert line.excess_gaussian == line.excess
    assert line.excess_other == pytest.approx((0.7 - 0.6) / (1 - 0.6))
    assert math.isnan(line.excess_shuffled)  # was not scored
    named = [f.removeprefix("excess_") for f in Summary._fields if "excess_" in f]
    assert [*filter(is_matched, NULLS)] == named
    assert all(map(math.isnan, lines(table())[BUG._replace(role="null: other")][11:]))


def test_excess_of_an_error_counts_from_the_null_down_to_zero() -> None:
    scores = Scores()
    key = BUG._replace(similarity="mse_rms")
    scores.add(key, range(2), [0.5, 0.5])
    scores.add(key._replace(role="null: gaussian"), range(2), [2.0, 2.0])
    assert lines(scores)[key].excess == pytest.approx(0.75)


def test_excess_needs_to_know_what_identical_means() -> None:
    scores = Scores()
    for name in ("my own", "topk(fraction=0.2)"):
        scores.add(BUG._replace(similarity=name), range(2), [0.5, 0.5])
        null = BUG._replace(similarity=name, role="null: gaussian")
        scores.add(null, range(2), [0.0, 0.0])
    found = lines(scores)
    assert math.isnan(found[BUG._replace(similarity="my own")].excess)
    assert found[BUG._replace(similarity="topk(fraction=0.2)")].excess == 0.5


def test_csv_has_a_line_per_key(tmp_path) -> None:
    write_summary(table(), tmp_path / "summary.csv")
    with open(tmp_path / "summary.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == 5
    assert tuple(written[0]) == Summary._fields
    assert float(written[0]["mean"]) == lines(table())[BUG].mean
    assert written[4]["mean"] == "nan"
