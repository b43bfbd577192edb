"""Coverage is the area that shapes cover; paint shows exactly what coverage says."""

import numpy as np
import pytest

from explaindebug.data.synthetic.brushes import blob, box, disc, facet, limb, mirrored, turned
from explaindebug.data.synthetic.canvas import coverage, paint, to_bytes
from explaindebug.data.synthetic.coats import Part, dressed

SHAPES = [
    (box(1, 0.2, 0.3, 0.7, 0.6), 0.15),
    (facet(1, [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9)]), 0.32),
    (disc(1, (0.5, 0.5), 0.4, 0.2, turn=0.7), 0.08 * np.pi),
    (limb(1, [(0.3, 0.5), (0.7, 0.5)], 0.1), 0.08 + 0.01 * np.pi),
    (limb(1, [(0.5, 0.5), (0.5, 0.55)], [0.3, 0.1]), 0.09 * np.pi),  # one disc holds the other
    (blob(1, [(0.5 + 0.4 * np.cos(t), 0.5 + 0.4 * np.sin(t)) for t in range(6)]), 0.16 * np.pi),
]


@pytest.mark.parametrize(("drawing", "area"), SHAPES)
@pytest.mark.parametrize("size", [32, 64])
def test_coverage_sums_to_the_area(drawing, area, size):
    cover = coverage(drawing, size, 1)
    assert cover[..., 1].mean() == pytest.approx(area, rel=0.06)


def test_shares_of_a_pixel_sum_to_one_and_later_shapes_hide_earlier_ones():
    drawing = box(1, 0, 0, 1, 1) + box(2, 0.25, 0.25, 0.75, 0.75)
    cover = coverage(drawing, 16, 3)
    assert np.array_equal(cover.sum(axis=-1), np.ones((16, 16)))
    assert np.array_equal(cover[4:12, 4:12, 2], np.ones((8, 8)))
    assert not cover[..., [0, 3]].any()


@pytest.mark.parametrize("width", [0.05, 0.1])
def test_a_contour_surrounds_the_thing_and_hides_none_of_it(width):
    drawing = disc(1, (0.5, 0.5), 0.25)
    bare, inked = coverage(drawing, 64, 2), coverage(drawing, 64, 2, contour=width)
    assert np.array_equal(bare[..., 1], inked[..., 1])
    ring = np.pi * ((0.25 + width) ** 2 - 0.25**2)
    assert inked[..., 2].mean() == pytest.approx(ring, rel=0.1)


def test_what_is_not_covered_stays_and_what_is_covered_hides_it():
    rng = np.random.default_rng(0)
    scenes = rng.random((2, 32, 32, 3), dtype=np.float32)
    cover = coverage(disc(1, (0.5, 0.5), 0.3), 32, len(Part), contour=0.03)
    first, second = (dressed(np.random.default_rng(1), cover, scene) for scene in scenes)
    free, hidden = cover[..., 0] == 1, cover[..., 0] == 0
    assert np.array_equal(first[free], scenes[0][free])
    assert np.array_equal(first[hidden], second[hidden])
    edge = ~free & ~hidden
    shining = (first - second)[edge] / (scenes[0] - scenes[1])[edge]
    assert np.allclose(shining, cover[edge, :1], atol=1e-3)


def test_paint_mixes_the_colours_by_their_shares():
    cover = np.array([[[0.25, 0.5, 0.25]]], dtype=np.float32)
    made = paint(cover, np.full((1, 1, 3), 0.8, np.float32), [(1, 0, 0), (0, 1, 0)])
    assert made.ravel() == pytest.approx([0.7, 0.45, 0.2])


def test_turning_and_mirroring_keep_a_thing_where_it_belongs():
    drawing = box(1, 0.1, -0.2, 0.5, 0.3)
    back = turned(turned(drawing, 0.8, (2, 1)), -0.8, (2, 1))
    assert np.allclose(back[0].outline, drawing[0].outline)
    assert np.allclose(turned(drawing, np.pi / 2)[0].outline[0], (0.2, 0.1))  # right turns to below
    assert np.array_equal(mirrored(mirrored(drawing))[0].outline, drawing[0].outline)


def test_bytes_are_clipped_and_rounded():
    assert to_bytes(np.array([-1, 0, 0.5, 1, 2], np.float32)).tolist() == [0, 0, 128, 255, 255]
