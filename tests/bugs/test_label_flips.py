"""Label flips: exactly as many as asked for, to any other class, and written down."""

from dataclasses import replace

import numpy as np
import pytest

from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet


def images(n=1000, k=5):
    labels = np.random.default_rng(1).integers(0, k, n)
    return ImageSet(np.zeros((n, 1, 1, 1), np.uint8), labels, tuple("abcdefghij"[:k]))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.1234, 1.0])
@pytest.mark.parametrize("k", [2, 5, 10])
def test_exactly_the_rate_is_flipped_and_the_truth_kept(rate, k):
    clean = images(k=k)
    flipped = LabelFlips(rate)(clean)
    changed = flipped.labels != flipped.truth
    assert changed.sum() == round(rate * 1000)
    assert np.array_equal(flipped.truth, clean.labels)
    assert np.array_equal(np.flatnonzero(changed), LabelFlips(rate).affected(clean))
    assert flipped.pixels is clean.pixels


def test_wrong_labels_are_uniform_among_the_other_classes():
    flipped = LabelFlips(1.0)(images(20000, 5))
    step = np.bincount((flipped.labels - flipped.truth) % 5, minlength=5)
    assert step[0] == 0
    assert np.abs(step[1:] - 5000).max() < 5 * np.sqrt(20000 * 0.25 * 0.75)


def test_flips_are_spread_over_classes_and_differ_by_seed():
    clean = images(20000, 5)
    first, again, other = (LabelFlips(0.1, seed=s).affected(clean) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert len(np.intersect1d(first, other)) == pytest.approx(200, abs=60)
    share = np.bincount(clean.labels[first]) / np.bincount(clean.labels)
    assert np.abs(share - 0.1).max() < 0.02


def test_the_record_names_rows_truth_and_labels():
    clean = replace(images(50, 3), indices=np.arange(50)[::-1].copy())
    flipped = LabelFlips(0.2, seed=4)(clean)
    record = LabelFlips(0.2, seed=4).record(flipped)
    assert record.bug == "labels"
    assert record.options == {"rate": 0.2, "seed": 4}
    for row, truth, label in zip(record.rows, record.truth, record.labels, strict=True):
        assert clean.labels[49 - row] == truth != label
        assert flipped.labels[49 - row] == label


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ConfigError, match=f"rate .* got {rate}"):
        LabelFlips(rate)
