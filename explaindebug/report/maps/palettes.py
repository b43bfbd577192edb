"""Colours in which equal steps of a map look equally large, also to a colour-blind reader.

Both scales are white at zero and darken evenly, so that grey prints keep the order. They are
straight lines through a few anchors in OKLab, walked at constant speed.

Source: B. Ottosson, A perceptual color space for image processing, 2020 (the matrices).
"""

from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

STEPS = 255  # of each arm: a value v has the colour number round(v * STEPS)
NOT_A_NUMBER = (57, 255, 20)  # a green that neither scale comes near to

_FOR = ("#ffffff", "#f6b394", "#d6604d", "#a01228", "#5c0018")
_AGAINST = ("#ffffff", "#a3cbe2", "#4393c3", "#1a5b9e", "#04264f")
_STRENGTH = ("#ffffff", "#fdcb94", "#f2705f", "#b8327a", "#641a80", "#16092f")

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(srgb: npt.ArrayLike) -> Floats:
    """Lightness 0 to 1, green-red and blue-yellow (..., 3) of sRGB bytes (..., 3)."""
    c = np.asarray(srgb, dtype=float) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    lab: Floats = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def srgb(oklab: Floats) -> Bytes:
    """The bytes (..., 3) of OKLab colours (..., 3), clipped to what a screen can show."""
    linear = ((oklab @ np.linalg.inv(_TO_LAB).T) ** 3) @ np.linalg.inv(_TO_LMS).T
    linear = linear.clip(0, 1)
    c = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(c * 255).astype(np.uint8)


@cache
def sequential() -> Bytes:
    """Colours (STEPS + 1, 3) of 0 to 1: how strong, where there is no sign."""
    return _ramp(_STRENGTH)


@cache
def diverging() -> Bytes:
    """Colours (2 * STEPS + 1, 3) of -1 to 1: blue speaks against the target, red for it."""
    return np.concatenate([_ramp(_AGAINST)[:0:-1], _ramp(_FOR)])


def _ramp(anchors: tuple[str, ...]) -> Bytes:
    lab = oklab([tuple(bytes.fromhex(a[1:])) for a in anchors])
    way = np.concatenate([[0], np.linalg.norm(np.diff(lab, axis=0), axis=1).cumsum()])
    steps = np.linspace(0, way[-1], STEPS + 1)
    return srgb(np.stack([np.interp(steps, way, channel) for channel in lab.T], axis=1))
