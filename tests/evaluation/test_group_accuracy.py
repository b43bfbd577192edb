"""Accuracy by class and group, by hand."""

import numpy as np
import pytest

from explaindebug.evaluation.group_accuracy import by_group, lost, worst

RIGHT = np.array([1, 1, 0, 1, 0, 0, 1, 1], bool)
TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 1])
GROUPS = np.array([0, 0, 0, 1, 0, 0, 0, 2])


def test_each_class_and_group_has_its_own_accuracy() -> None:
    found = by_group(RIGHT, TRUTH, GROUPS, ("a", "b"), ("x", "y", "z"))
    expected = [("a, x", 2 / 3, 3), ("a, y", 1, 1), ("b, x", 1 / 3, 3), ("b, z", 1, 1)]
    assert [tuple(cell) for cell in found] == expected
    assert worst(found).name == "b, x"


def test_what_is_lost_is_the_others_mean_minus_its_own() -> None:
    best, half = np.ones(8, bool), np.arange(8) % 2 == 0
    gap = lost(RIGHT, [best, half])
    assert gap.value == pytest.approx(0.75 - 5 / 8)
    assert gap.low < gap.value < gap.high
    assert gap.n == 8
    assert lost(best, [np.zeros(8, bool)])[:3] == (-1, -1, -1)
