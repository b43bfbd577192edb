"""Splits: exact sizes, disjoint, every class in proportion, and sentences where it can't be."""

import math

import numpy as np
import pytest

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.splits import check_amounts, counts, drawn, stratified, thin

CLASSES = ("bird", "dog")
LABELS = np.repeat([0, 1], [223, 157])


@pytest.mark.parametrize("seed", range(5))
def test_splits_are_disjoint_exact_and_in_proportion(seed):
    parts = stratified(LABELS, [190, 37, 101], seed)
    assert [len(p) for p in parts] == [190, 37, 101]
    assert len(np.unique(np.concatenate(parts))) == 328
    for part in parts:
        for stop in range(1, len(part) + 1):  # any beginning of a split, too
            birds = np.sum(LABELS[part[:stop]] == 0)
            assert abs(birds - stop * 223 / 380) <= 1.5


def test_the_same_seed_gives_the_same_split_and_another_another():
    first, again, other = (stratified(LABELS, [200, 100], seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ((0.7, 0.1, 0.2), [266, 38, 76]),
        ((200, 20, None), [200, 20, 160]),
        ((None, 0.1, 20), [322, 38, 20]),
        ((1 / 3, 1 / 3, 1 / 3), [126, 126, 126]),
        ((0.5, 0.25, 0.25), [190, 95, 95]),
    ],
)
def test_amounts_are_counts_shares_or_the_rest(amounts, expected):
    asked = dict(zip(("train", "val", "test"), amounts, strict=True))
    assert counts(asked, LABELS, CLASSES) == expected


def test_shares_that_add_up_to_one_always_fit():
    for n in range(20, 400):
        sizes = counts({"train": 0.7, "val": 0.15, "test": 0.15}, np.arange(n) % 2, CLASSES)
        assert n - 2 <= sum(sizes) <= n


def test_too_few_pictures_are_counted_for_the_user():
    with pytest.raises(
        DataError,
        match=r"450 requested \(train 300, .*test 100\), but .* 380 \(223 bird, 157 dog\)",
    ):
        counts({"train": 300, "val": 50, "test": 100}, LABELS, CLASSES)
    with pytest.raises(DataError, match="the val split gets 1 of 380"):
        counts({"train": 300, "val": 1, "test": None}, LABELS, CLASSES)


@pytest.mark.parametrize("amount", [-1, 1.5, -0.1])
def test_impossible_amounts_are_refused(amount):
    with pytest.raises(ConfigError, match=f"val={amount}"):
        counts({"train": 10, "val": amount}, LABELS, CLASSES)
    with pytest.raises(ConfigError, match="only one split may take the rest"):
        counts({"train": None, "val": None}, LABELS, CLASSES)


def test_thinning_balances_and_limits_and_draws_by_seed():
    assert np.bincount(LABELS[thin(LABELS, None, True, 0)]).tolist() == [157, 157]
    assert np.bincount(LABELS[thin(LABELS, 200, False, 0)]).tolist() == [200, 157]
    assert np.bincount(LABELS[thin(LABELS, 100, True, 0)]).tolist() == [100, 100]
    assert np.array_equal(thin(LABELS, None, False, 0), np.arange(380))
    assert not np.array_equal(thin(LABELS, 50, False, 0), thin(LABELS, 50, False, 1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rare", [3, 4, 8])
def test_each_split_has_each_class_wherever_there_are_enough(seed, rare):
    labels = np.repeat([0, 1], [12, rare])
    shares = {"train": 0.7, "val": 2, "test": 0.2}
    parts = drawn(shares, labels, CLASSES, seed)
    assert [len(rows) for rows in parts] == counts(shares, labels, CLASSES)
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    assert all(np.bincount(labels[rows], minlength=2).min() >= 1 for rows in parts)


@pytest.mark.parametrize("rare", [0, 1, 2])
def test_a_split_without_a_class_is_refused(rare):
    labels = np.repeat([0, 1], [40, rare])
    with pytest.raises(DataError, match=rf"no picture of class 'dog'.*40 bird, {rare} dog"):
        drawn({"train": 0.7, "val": 0.1, "test": 0.2}, labels, CLASSES, 0)
    drawn({"train": 0.7, "val": 0.1, "test": 0.2}, labels, CLASSES, 0, every_class=False)


def test_a_limit_below_one_and_no_number_are_refused():
    with pytest.raises(ConfigError, match="limit=0"):
        thin(LABELS, 0, False, 0)
    with pytest.raises(ConfigError, match="val=nan"):
        counts({"val": float("nan")}, LABELS, CLASSES)


@pytest.mark.parametrize("amount", [-1, 0, 0.0, 1.5, math.nan, math.inf, True, "5", [5]])
def test_what_no_number_of_pictures_could_be_is_refused_before_any_is_read(amount: object) -> None:
    with pytest.raises(ConfigError, match="val="):
        check_amounts({"train": 0.5, "val": amount, "test": None})  # type: ignore[dict-item]


def test_one_split_may_take_the_rest() -> None:
    check_amounts({"train": 1, "val": 1.0, "test": None})
    with pytest.raises(ConfigError, match="only one"):
        check_amounts({"train": None, "val": None})
