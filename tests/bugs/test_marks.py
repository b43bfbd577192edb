"""A tag and stripes: as large and where they should be, the same on every picture."""

import numpy as np
import pytest

from explaindebug.bugs.marks import Stripes, Tag
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet


def grey(n: int, side: int) -> ImageSet:
    pixels = np.full((n, side, side, 3), 128, np.uint8)
    return ImageSet(pixels, np.arange(n) % 2, ("bird", "dog"))


@pytest.mark.parametrize("side", [28, 48, 224])
def test_a_tag_is_a_square_of_its_size_with_a_letter(side: int) -> None:
    made = Tag(size=0.2)(grey(2, side), split="test")
    rows, columns = (np.flatnonzero(made.signals[0].any(axis)) for axis in (1, 0))
    assert len(rows) == len(columns) == round(0.2 * side)
    assert made.signals[0].sum() == round(0.2 * side) ** 2
    inside = made.pixels[0][made.signals[0]]
    assert set(np.unique(inside)) == {0, 255}
    assert 0.2 < (inside == 255).mean() < 0.5


@pytest.mark.parametrize("corner", ["top_left", "top_right", "bottom_left", "bottom_right"])
def test_a_tag_lies_in_its_corner_and_off_the_frame(corner) -> None:
    there = Tag(corner=corner)(grey(2, 40), split="test").signals[0]
    y, x = (np.mean(place) / 40 for place in np.nonzero(there))
    assert (y < 0.5, x < 0.5) == (corner.startswith("top"), corner.endswith("left"))
    assert not there[0].any()
    assert not there[-1].any()
    assert not there[:, [0, -1]].any()


@pytest.mark.parametrize("side", [28, 48, 224])
def test_stripes_are_as_many_and_as_wide_as_asked_for_and_evenly_spaced(side: int) -> None:
    there = Stripes(count=5, width=0.04)(grey(2, side), split="test").signals[0]
    assert (there == there[0]).all()
    edges = np.diff(there[0].astype(int), prepend=0, append=0)
    assert (edges == 1).sum() == 5
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    assert set(ends - starts) == {max(1, round(0.04 * side))}
    np.testing.assert_allclose((starts + ends) / 2, (np.arange(5) + 0.5) * side / 5, atol=0.6)


def test_a_mark_is_the_same_on_every_picture_whatever_the_seed() -> None:
    for kind in (Tag, Stripes):
        one, other = (kind(seed=s)(grey(3, 32), split="test").pixels for s in (0, 1))
        assert np.array_equal(one, other)
        assert (one == one[0]).all()


def test_marks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"size .* got 2"):
        Tag(size=2)
    with pytest.raises(ConfigError, match="corner=middle"):
        Tag(corner="middle")
    with pytest.raises(ConfigError, match="count=30"):
        Stripes(count=30)
