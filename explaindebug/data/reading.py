"""Picture files to bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from explaindebug.data.imageset import Pixels
from explaindebug.errors import DataError

Size = tuple[int, int]  # width, height, as Pillow has them
Window = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture file, open; whatever Pillow can't read becomes a DataError that names it."""
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} can't be read as a picture ({error}). Replace the file or move it away."
        ) from error


def window(size: Size, crop: float | None = None) -> Window:
    """What is shown of a picture of this size: all of it, or with `crop` a square in its centre.

    `crop` is the square's side as a share of the picture's shorter side; 0.875 shows what the usual
    recipe of ImageNet does, which scales the shorter side to 256 pixels and cuts out 224 x 224.
    """
    w, h = size
    if crop is None:
        return (0, 0, w, h)
    side = crop * min(w, h)
    left, top = (w - side) / 2, (h - side) / 2
    return (left, top, left + side, top + side)


def read_picture(path: Path, size: int, crop: float | None = None) -> tuple[Pixels, Size]:
    """The picture's `window` squeezed to (size, size, 3), antialiased, and its size in the file."""
    with opened(path) as image:
        full = image.size
        image.draft("RGB", (2 * size, 2 * size))  # a JPEG may decode at a half or a quarter: faster
        shown = window(image.size, crop)
        small = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, box=shown)
    return np.asarray(small), full


def read_levels(path: Path) -> Pixels:
    """Grey levels or palette entries (h, w) as the file has them; a 1-bit file gives 0 and 255."""
    with opened(path) as image:
        return np.asarray(image if image.mode in ("L", "P") else image.convert("L"))


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The named variables of a Matlab file.

    Raises:
        DataError: for a file that can't be read, or has no such variable.
    """
    import scipy.io  # late: few data sets need it

    read: Any = scipy.io.loadmat  # type: ignore[attr-defined]
    try:
        found: dict[str, Any] = read(path, squeeze_me=True, variable_names=names)
    except Exception as error:  # scipy raises nearly anything for a damaged file
        raise DataError(
            f"{path} can't be read as a Matlab file ({error}). Get it again."
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path} has no variable {', '.join(missing)}. Is it the right file?")
    return found
