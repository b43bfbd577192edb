"""Mask files: three conventions, resized without inventing levels, refused when empty."""

import numpy as np
import pytest
from PIL import Image

from explaindebug.core.errors import DataError
from explaindebug.data.image_files import Frame
from explaindebug.data.masks import CONVENTIONS, binary, read_mask, trimap, votes


def test_each_convention_reads_its_levels():
    for object_ in (1, 3, 255):
        assert binary(np.array([[0, object_]], np.uint8)).tolist() == [[False, True]]
    levels = np.array([[1, 2, 3]], np.uint8)
    assert trimap(levels).tolist() == [[True, False, False]]
    assert trimap(levels, border=True).tolist() == [[True, False, True]]
    levels = np.array([[0, 51, 102, 153, 204, 255]], np.uint8)  # 0 to 5 of five annotators
    assert votes(levels).tolist() == [[False, False, False, True, True, True]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_any_file_mode_will_do(tmp_path, mode):
    full = np.zeros((40, 60), np.uint8)
    full[10:30, 15:45] = 255
    Image.fromarray(full).convert(mode).save(tmp_path / "m.png")
    mask, frame = read_mask(tmp_path / "m.png", 20, "binary")
    assert frame == Frame((60, 40))
    expected = np.zeros((20, 20), bool)
    expected[5:15, 5:15] = True
    assert np.array_equal(mask, expected)


def test_a_trimap_keeps_its_meaning_when_it_is_made_smaller(tmp_path):
    """Averaging levels 1 and 3 would give 2, background; the border must not eat the object."""
    levels = np.full((64, 64), 2, np.uint8)
    levels[8:56, 8:56] = 3
    levels[16:48, 16:48] = 1
    Image.fromarray(levels).save(tmp_path / "t.png")
    inner, _ = read_mask(tmp_path / "t.png", 16, "trimap")
    outer, _ = read_mask(tmp_path / "t.png", 16, "trimap", border=True)
    assert inner.sum() == 8 * 8
    assert outer.sum() == 12 * 12


def test_a_small_pixel_is_object_where_most_of_its_area_is(tmp_path):
    rng = np.random.default_rng(0)
    full = rng.random((64, 64)) < 0.5
    Image.fromarray(full).save(tmp_path / "m.png")
    mask, _ = read_mask(tmp_path / "m.png", 16, "binary")
    area = full.reshape(16, 4, 16, 4).mean((1, 3))
    sure = area != 0.5
    assert np.array_equal(mask[sure], area[sure] > 0.5)


def test_an_object_smaller_than_a_pixel_is_not_lost(tmp_path):
    full = np.zeros((64, 64), bool)
    full[33, 50] = True
    Image.fromarray(full).save(tmp_path / "m.png")
    mask, _ = read_mask(tmp_path / "m.png", 8, "binary")
    assert np.argwhere(mask).tolist() == [[4, 6]]


def test_without_an_object_the_convention_is_suspected(tmp_path):
    Image.fromarray(np.repeat(np.uint8([[0, 255]]), 8, 0)).save(tmp_path / "m.png")
    with pytest.raises(
        DataError, match=r"m.png marks nothing .*'trimap' \(its levels: 0, 255\)"
    ) as e:
        read_mask(tmp_path / "m.png", 8, "trimap")
    assert all(name in str(e.value) for name in CONVENTIONS)
