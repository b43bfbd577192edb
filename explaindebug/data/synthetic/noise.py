"""Random fields (size, size): the same field at every size, only finer."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from explaindebug.data.synthetic.brushes import Rng
from explaindebug.data.synthetic.canvas import Floats


def cloud(rng: Rng, size: int, across: int, down: int | None = None) -> Floats:
    """Smooth noise about 0 with standard deviation near 1, `across` x `down` bumps."""
    grid = rng.standard_normal((down or across, across), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))


def fractal(rng: Rng, size: int, across: int, down: int | None = None, octaves: int = 3) -> Floats:
    """Noise with detail at several scales, each half as strong as the coarser one."""
    down = down or across
    layers = [cloud(rng, size, across << k, down << k) / 2**k for k in range(octaves)]
    field: Floats = np.sum(layers, axis=0, dtype=np.float32)
    return field


def ramp(size: int, angle: float) -> Floats:
    """-1 to 1 along a direction (radians; 0 is left to right, pi / 2 top to bottom)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    field = np.cos(angle) * axis + np.sin(angle) * axis[:, None]
    return np.asarray(field, dtype=np.float32)


def step(field: npt.NDArray[Any], width: float = 0.3) -> Floats:
    """A field squashed to 0..1, soft around zero."""
    return (field / width + 0.5).clip(0, 1).astype(np.float32)


def mix(a: npt.ArrayLike, b: npt.ArrayLike, share: Floats) -> Floats:
    """`a` where the share is 0, `b` where it is 1; colours (3,) or pictures (size, size, 3)."""
    first, second = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    picture: Floats = first + (second - first) * share[..., None]
    return picture
