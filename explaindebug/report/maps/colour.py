"""Maps as colour pictures, alone or over their images.

The scales are matplotlib's, each divided by its colour at zero, so that zero is pure white like the
surrounding page.
"""

from functools import cache

import matplotlib
import numpy as np
import numpy.typing as npt

from explaindebug.evaluation.heatmaps import Pixels

STEPS = 255  # per sign: a value v has colour number round(v * STEPS)
NOT_A_NUMBER = (57, 255, 20)  # a green far from both scales


@cache
def diverging() -> Pixels:
    """Colours (2 * STEPS + 1, 3) of -1 to 1: blue is evidence against the target, red for it."""
    return _scale("RdBu_r", 2 * STEPS + 1, zero=STEPS)


@cache
def sequential() -> Pixels:
    """Colours (STEPS + 1, 3) of 0 to 1: strength, for maps without a sign."""
    return _scale("magma_r", STEPS + 1, zero=0)


def _scale(name: str, count: int, zero: int) -> Pixels:
    colours = matplotlib.colormaps[name].resampled(count)(np.arange(count))[:, :3]
    pixels: Pixels = np.rint((colours / colours[zero]).clip(0, 1) * 255).astype(np.uint8)
    return pixels


def is_signed(maps: npt.NDArray[np.floating]) -> bool:
    """Whether any of the maps has a negative pixel and so needs a colour for "against"."""
    return bool((maps < 0).any())


def colour(maps: npt.NDArray[np.floating], *, signed: bool | None = None) -> Pixels:
    """Pictures (..., h, w, 3) of maps (..., h, w) within [-1, 1]; NaN is a distinct green.

    Signed maps: white at zero, red for and blue against the target. Others: white to nearly black.
    Pass `signed` if several pictures must share one scale; by default it depends on the values.
    """
    signed = is_signed(maps) if signed is None else signed
    finite = np.isfinite(maps)
    low, table = (-1, diverging()) if signed else (0, sequential())
    number = np.where(finite, maps, 0).clip(low, 1) - low
    pictures: Pixels = table[np.rint(number * STEPS).astype(np.int16)]
    pictures[~finite] = NOT_A_NUMBER
    return pictures


def overlay(
    images: Pixels, maps: npt.NDArray[np.floating], *, signed: bool | None = None
) -> Pixels:
    """The maps' colours (..., h, w, 3) over pale grey pictures, more opaque where stronger.

    `images` (..., h, w, 3) and `maps` (..., h, w) must have the same height and width.
    """
    grey = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    pale = 128 + grey[..., None] / 2
    density = np.nan_to_num(np.abs(maps), nan=1.0).clip(0, 1)[..., None]
    mixed = (1 - density) * pale + density * colour(maps, signed=signed)
    pixels: Pixels = np.rint(mixed).astype(np.uint8)
    return pixels
