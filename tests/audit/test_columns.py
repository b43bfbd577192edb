"""Values of metadata that go with a predicted class."""

import numpy as np
import pytest

from explaindebug.audit.columns import check_metadata, facts
from explaindebug.core.errors import DataError

N = 80
ROWS = np.arange(N)
PREDICTED = ROWS % 2
FOUND, HELD = ROWS[: N // 2], ROWS[N // 2 :]


def test_a_value_that_goes_with_a_class_is_a_fact_and_an_unrelated_one_is_not() -> None:
    site = ["A" if k % 2 else "B" for k in ROWS]
    other = [str(k // 2 % 2) for k in ROWS]
    found = facts({"site": site, "other": other}, PREDICTED, FOUND, HELD)
    strong = {(f.value, f.predicted): f for f in found if f.column == "site"}
    assert set(strong) == {("A", 1), ("B", 0)}
    assert (strong["A", 1].with_value, strong["A", 1].without) == (1.0, 0.0)
    assert strong["A", 1].count == 20
    assert strong["A", 1].p_adjusted < 0.01
    assert all(f.p_adjusted > 0.1 for f in found if f.column == "other")


def test_a_column_that_goes_with_the_labels_alone_is_no_news() -> None:
    site = ["A" if k % 2 else "B" for k in ROWS]
    found = facts({"site": site}, PREDICTED, FOUND, HELD, truth=PREDICTED)
    assert all(f.p_adjusted == 1 for f in found)
    assert found


def test_the_value_is_picked_on_one_half_and_tested_on_the_other() -> None:
    site = ["A" if k % 2 else "B" for k in FOUND] + ["B" if k % 2 else "A" for k in HELD]
    found = {(f.value, f.predicted): f for f in facts({"site": site}, PREDICTED, FOUND, HELD)}
    assert found["A", 1].with_value == 0
    assert found["A", 1].p_adjusted > 0.9


def test_values_that_occur_once_or_always_tell_nothing() -> None:
    columns = {"name": [f"{k}.png" for k in ROWS], "same": ["x"] * N}
    assert facts(columns, PREDICTED, FOUND, HELD) == []


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="site"):
        check_metadata({"site": [1, 2]}, 3)
