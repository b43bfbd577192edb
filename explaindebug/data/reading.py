"""Picture files to bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from explaindebug.data.imageset import Pixels
from explaindebug.errors import DataError

Size = tuple[int, int]  # width, height, as Pillow has them


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


def read_picture(path: Path, size: int) -> tuple[Pixels, Size]:
    """The picture squeezed to (size, size, 3), antialiased, and its size in the file."""
    with opened(path) as image:
        full = image.size
        image.draft("RGB", (2 * size, 2 * size))  # a JPEG may decode at a half or a quarter: faster
        small = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(small), full


def read_levels(path: Path) -> Pixels:
    """Grey levels or palette entries (h, w) as the file has them; a 1-bit file gives 0 and 255."""
    with opened(path) as image:
        return np.asarray(image if image.mode in ("L", "P") else image.convert("L"))
