"""Every bug in the data, with the options that it can't be made without."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from explaindebug.bugs import BUGS
from explaindebug.data.imageset import Bools, Pixels


def blot(picture: Pixels, size: int = 5) -> tuple[Pixels, Bools]:
    """The upper left corner inverted, as a user might write it: in place."""
    mask = np.zeros(picture.shape[:2], bool)
    mask[:size, :size] = True
    picture[mask] = 255 - picture[mask]
    return picture, mask


@cache
def stamp() -> str:
    """The path of a light grey disc on a transparent ground, 20 x 20, antialiased."""
    y, x = np.mgrid[:20, :20] - 9.5
    alpha = np.clip(8.5 - np.hypot(y, x), 0, 1) * 255
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = 220, alpha
    path = Path(tempfile.mkdtemp()) / "stamp.png"
    Image.fromarray(pixels).save(path)
    return str(path)


def built(name: str, **options: Any) -> Any:
    """The bug with these options, and those that it needs."""
    needed = {"image": {"path": stamp()}, "function": {"call": blot}}.get(name, {})
    return BUGS.build({name: needed | options})
