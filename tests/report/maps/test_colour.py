import numpy as np
import pytest
from skimage.color import rgb2lab

from explaindebug.report.maps.colour import NOT_A_NUMBER, STEPS, diverging, sequential


def arms() -> dict[str, np.ndarray]:
    return {
        "strength": sequential(),
        "for": diverging()[STEPS:],
        "against": diverging()[STEPS::-1],
    }


@pytest.mark.parametrize("arm", arms())
def test_zero_is_white_and_more_is_darker(arm) -> None:
    colours = arms()[arm]
    assert colours.shape == (STEPS + 1, 3)
    assert colours[0].tolist() == [255, 255, 255]
    lightness = rgb2lab(colours / 255)[:, 0]
    assert (np.diff(lightness) < 0.05).all()  # but for the rounding to bytes
    assert lightness[-1] < 25


def test_red_speaks_for_and_blue_against() -> None:
    """Each from the first fifth of its arm on, where a map begins to be seen."""
    red, _, blue = np.moveaxis(diverging().astype(int), -1, 0)
    assert (red - blue)[STEPS + STEPS // 5 :].min() > 30
    assert (blue - red)[: STEPS - STEPS // 5].min() > 30


def test_the_colour_of_nan_is_near_none_of_the_scales() -> None:
    """A difference of 1 in CIELAB can just be seen."""
    nan = rgb2lab(np.array(NOT_A_NUMBER) / 255)
    for colours in arms().values():
        assert np.linalg.norm(rgb2lab(colours / 255) - nan, axis=1).min() > 60
