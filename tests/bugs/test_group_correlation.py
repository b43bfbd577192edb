"""Training pictures redrawn: class and group as correlated as asked, nothing else changed."""

import numpy as np
import pytest

from explaindebug.bugs.group_correlation import GroupCorrelation, cells, independent, whole_parts
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data import ImageSet

THERE = np.array([[80, 5], [10, 25]])  # of class and group


def data(there: np.ndarray = THERE) -> ImageSet:
    pairs = [(c, g) for (c, g), n in np.ndenumerate(there) for _ in range(n)]
    labels, groups = np.random.default_rng(0).permutation(pairs).T.astype(np.int64)
    pixels = np.arange(len(pairs), dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    return ImageSet(pixels, labels, ("a", "b"), groups=groups, group_names=("x", "y"))


def test_it_is_the_data_as_it_is_at_full_strength() -> None:
    clean = data()
    assert GroupCorrelation()(clean) is clean
    assert GroupCorrelation().affected(clean).tolist() == []


def test_at_none_class_and_group_are_independent_and_as_frequent_as_before() -> None:
    clean = data()
    there = cells(GroupCorrelation(0.0)(clean))
    assert there.sum() == len(clean)
    assert np.abs(there - independent(THERE)).max() < 1
    assert np.abs(there.sum(1) - THERE.sum(1)).max() <= 1
    assert np.abs(there.sum(0) - THERE.sum(0)).max() <= 1


def test_between_it_is_in_proportion() -> None:
    there = cells(GroupCorrelation(0.5)(data()))
    assert np.abs(there - (THERE + independent(THERE)) / 2).max() < 1


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_without_repetition_all_strengths_have_as_many_pictures(strength: float) -> None:
    clean = data()
    made = GroupCorrelation(strength, repeat=False)(clean)
    assert len(np.unique(made.indices)) == len(made)
    assert len(made) == np.floor((THERE / independent(THERE)).min() * len(clean))
    expected = strength * THERE / 120 + (1 - strength) * independent(THERE) / 120
    assert np.abs(cells(made) - expected * len(made)).max() <= 1


def test_pictures_are_repeated_evenly_and_left_out_before_any_is() -> None:
    made = GroupCorrelation(0.0)(data())
    for c, g in np.ndindex(2, 2):
        rows = made.indices[(made.truth == c) & (made.groups == g)]
        times = np.unique(rows, return_counts=True)[1]
        assert times.max() - times.min() <= 1
        assert len(times) == min(len(rows), THERE[c, g])


def test_it_depends_on_the_seed_not_on_the_order_and_its_record_has_every_picture() -> None:
    clean, bug = data(), GroupCorrelation(0.0)
    made = bug(clean)
    order = np.random.default_rng(1).permutation(len(clean))
    other = bug(clean.subset(order))
    assert sorted(other.indices) == sorted(made.indices)
    assert sorted(GroupCorrelation(0.0, seed=1)(clean).indices) != sorted(made.indices)
    assert bug.record(made).rows == made.indices.tolist()
    times = np.bincount(made.indices, minlength=len(clean))
    assert bug.affected(clean).tolist() == np.flatnonzero(times != 1).tolist()


def test_what_can_not_be_balanced_is_refused() -> None:
    with pytest.raises(DataError, match="class 'a' is of group 'y'"):
        GroupCorrelation(0.0)(data(np.array([[5, 0], [5, 5]])))
    with pytest.raises(DataError, match="no groups"):
        GroupCorrelation(0.0)(ImageSet(data().pixels, data().labels, ("a", "b")))
    with pytest.raises(ConfigError, match=r"strength .* got 1.5"):
        GroupCorrelation(1.5)


def test_whole_parts_keep_the_sum_and_the_bound() -> None:
    assert whole_parts(np.array([[1.5, 1.5], [0.6, 0.4]])).sum() == 4
    most = np.array([[1, 9], [9, 9]])
    assert whole_parts(np.array([[1.4, 0.3], [0.2, 0.1]]), most).tolist() == [[1, 1], [0, 0]]
