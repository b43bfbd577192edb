"""Spurious backgrounds: the object stays, the rest is the scene, and no halo lies between them."""

from dataclasses import replace

import numpy as np
import pytest

from explaindebug.bugs.spurious_background import SpuriousBackground, paste
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data import ImageSet


@pytest.fixture
def clean():
    """Random pictures of 32 x 32 with a box or a larger box as object."""
    rng = np.random.default_rng(0)
    masks = np.zeros((20, 32, 32), bool)
    masks[:, 8:24, 8:24] = True
    masks[10:, 4:28, 10:22] = True
    pixels = rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(20) % 2, ("bird", "dog"), masks)


def test_far_inside_is_the_object_and_far_outside_the_scene(clean, scenes):
    made = SpuriousBackground(feather=0.02)(clean, scenes=scenes)
    assert np.array_equal(made.pixels[:, 12:20, 12:20], clean.pixels[:, 12:20, 12:20])
    for corner in (np.s_[:, :3, :3], np.s_[:, -3:, -3:]):
        assert np.array_equal(made.pixels[corner], made.scenes[corner])
    assert np.array_equal(made.masks, clean.masks)


def test_every_row_gets_its_classs_scene_of_its_split(clean, scenes):
    made = SpuriousBackground(seed=5)(clean, scenes=scenes, split="val")
    for i in range(20):
        source = scenes[clean.classes[clean.labels[i]]]
        expected = source(np.array([i]), split="val", size=32, seed=5)[0]
        assert np.array_equal(made.scenes[i], expected)


@pytest.mark.parametrize("feather", [0.0, 0.01, 0.03])
def test_nothing_of_the_old_background_shows(feather):
    """A red object that stood before green, now before blue: no green anywhere, however soft."""
    masks = np.zeros((1, 64, 64), bool)
    masks[:, 20:44, 10:50] = True
    masks[:, 40:60, 30] = True  # a leg, one pixel wide
    pictures = np.zeros((1, 64, 64, 3), np.uint8)
    pictures[~masks] = (0, 255, 0)
    pictures[masks] = (255, 0, 0)
    scenes = np.zeros_like(pictures)
    scenes[..., 2] = 255
    made = paste(pictures, masks, scenes, feather).astype(int)
    assert made[..., 1].max() == 0
    assert np.abs(made.sum(-1) - 255).max() <= 1  # red and blue mix, nothing is lost
    red = made[0, 32, :30, 0]
    assert (np.diff(red) >= 0).all()
    soft = np.sum((red > 0) & (red < 255))
    assert soft == 0 if feather == 0 else soft >= 2


def test_an_edge_is_as_soft_at_any_size():
    widths = []
    for side in (50, 200):
        masks = np.zeros((1, side, side), bool)
        masks[:, :, side // 2 :] = True
        white = np.full((1, side, side, 1), 255, np.uint8)
        edge = paste(white, masks, 0 * white, 0.05)[0, side // 2, :, 0] / 255
        widths.append(np.sum((edge > 0.1) & (edge < 0.9)) / side)
    assert widths[0] == pytest.approx(widths[1], abs=0.03)
    assert widths[1] == pytest.approx(2 * 1.2816 * 0.05, abs=0.01)  # a Gaussian's 10 to 90 percent


def test_a_soft_edge_does_not_touch_the_frame():
    masks = np.ones((1, 16, 16), bool)
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    assert (paste(white, masks, 0 * white, 0.1) == 255).all()


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_fraction_holds_per_class_but_all_test_pictures_get_a_scene(
    clean, fraction, split, scenes
):
    bug = SpuriousBackground(fraction)
    made = bug(clean, scenes=scenes, split=split)
    changed = (made.pixels != clean.pixels).any((1, 2, 3))
    expected = 10 if split == "test" else round(fraction * 10)
    assert np.bincount(clean.labels[changed], minlength=2).tolist() == [expected] * 2
    assert np.flatnonzero(changed).tolist() == bug.affected(clean, split).tolist()


def test_scenes_are_known_where_all_pictures_are_changed_or_the_clean_data_knows_them(
    clean, scenes
):
    half = SpuriousBackground(0.5)
    assert half(clean, scenes=scenes).scenes is None
    known = replace(clean, scenes=np.full_like(clean.pixels, 7))
    made = half(known, scenes=scenes)
    affected = half.affected(clean)
    rest = np.setdiff1d(np.arange(20), affected)
    assert (made.scenes[rest] == 7).all()
    assert not (made.scenes[affected] == 7).all((1, 2, 3)).any()
    assert (known.scenes == 7).all()


def test_grey_pictures_get_grey_scenes(clean):
    grey = replace(clean, pixels=clean.pixels[..., :1])
    black = {
        name: lambda rows, **_: np.zeros((len(rows), 32, 32, 1), np.uint8) for name in clean.classes
    }
    made = SpuriousBackground()(grey, scenes=black)
    assert made.pixels.shape == grey.pixels.shape
    assert not made.pixels[:, 0].any()


def test_without_masks_or_scenes_it_is_refused(clean, scenes):
    with pytest.raises(DataError, match="no masks"):
        SpuriousBackground()(replace(clean, masks=None), scenes=scenes)
    with pytest.raises(DataError, match="class 'dog' has no scene"):
        SpuriousBackground()(clean, scenes={"bird": scenes["bird"]})
    with pytest.raises(ConfigError, match=r"fraction .* got 1.5"):
        SpuriousBackground(1.5)
    with pytest.raises(ConfigError, match=r"feather .* got -1"):
        SpuriousBackground(feather=-1)
