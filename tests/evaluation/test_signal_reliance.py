"""The spurious score by its definition."""

import math

import numpy as np
import pytest

from explaindebug.evaluation.signal_reliance import spurious_score


def test_inputs_that_are_called_so_anyway_are_not_asked() -> None:
    before = np.array([0, 0, 1, 1, 1])
    found = spurious_score(before, {0: np.array([1, 0, 0, 0, 1])})
    assert (found.flipped, found.asked) == (2, 3)
    assert found.value == pytest.approx(2 / 3)
    assert 0 < found.low < found.value < found.high < 1
    assert str(found).endswith("2 of 3")


def test_every_class_with_a_signal_is_asked_for() -> None:
    before = np.array([0, 1, 2])
    after = {0: np.array([0, 0, 0]), 1: np.array([0, 1, 2])}
    found = spurious_score(before, after)
    assert (found.flipped, found.asked) == (2, 4)  # two to class 0, of two; none to 1, of two


def test_a_flip_to_another_class_than_the_signals_does_not_count() -> None:
    assert spurious_score(np.array([1, 1]), {0: np.array([2, 2])}).value == 0


def test_wilson() -> None:
    found = spurious_score(np.ones(10, int), {0: np.r_[np.zeros(8, int), 1, 1]})
    assert (found.low, found.high) == pytest.approx((0.4901, 0.9433), abs=1e-3)


def test_nobody_to_ask() -> None:
    found = spurious_score(np.zeros(4, int), {0: np.zeros(4, int)})
    assert math.isnan(found.value)
    assert (found.flipped, found.asked) == (0, 0)
