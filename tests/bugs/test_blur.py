"""A blurred background: the object stays as sharp as it was, and none of it runs out."""

from dataclasses import replace

import numpy as np
import pytest

from explaindebug.bugs.blur import Blur, blurred
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data import ImageSet


def data() -> ImageSet:
    masks = np.zeros((4, 40, 40), bool)
    masks[:, 10:30, 12:28] = True
    pixels = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(4) % 2, ("bird", "dog"), masks)


def test_the_object_is_untouched_and_the_background_loses_its_detail() -> None:
    clean = data()
    made = Blur()(clean, split="test")
    assert np.array_equal(made.pixels[clean.masks], clean.pixels[clean.masks])
    assert np.array_equal(made.signals, ~clean.masks)
    rough = [np.abs(np.diff(x.pixels[:, :8].astype(int), axis=2)).mean() for x in (clean, made)]
    assert rough[1] < 0.3 * rough[0]


def test_no_colour_of_the_object_runs_into_the_background() -> None:
    clean = data()
    pixels = np.zeros_like(clean.pixels)
    pixels[clean.masks] = (255, 0, 0)
    pixels[~clean.masks] = (0, 0, 200)
    made = Blur(strength=0.1)(replace(clean, pixels=pixels), split="test")
    assert (made.pixels[~clean.masks] == (0, 0, 200)).all()
    assert (made.scenes == (0, 0, 200)).all()  # nor is the object there without itself


def test_a_blur_of_everything_is_the_ordinary_one() -> None:
    from scipy.ndimage import gaussian_filter

    pictures = data().pixels
    expected = gaussian_filter(pictures.astype(float), (0, 2, 2, 0), mode="nearest")
    found = blurred(pictures, np.ones(pictures.shape[:3], bool), 2 / 40)
    assert np.abs(found - expected).max() <= 0.51


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="no masks"):
        Blur()(replace(data(), masks=None))
    with pytest.raises(ConfigError, match=r"strength .* got 0"):
        Blur(strength=0)
