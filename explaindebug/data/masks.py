"""From a mask file's grey levels to where the object is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from explaindebug.data.imageset import Bools, Pixels
from explaindebug.data.reading import Size, read_levels
from explaindebug.errors import DataError

Convention = Callable[[Pixels, bool], Bools]


def binary(levels: Pixels, border: bool = False) -> Bools:
    """True where the mask is not zero."""
    return np.greater(levels, 0)


def trimap(levels: Pixels, border: bool = False) -> Bools:
    """True where an Oxford trimap says 1, object; with `border` also where it says 3, border.

    2 is background. Source: Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs, CVPR 2012.
    """
    return np.isin(levels, [1, 3] if border else [1])


def votes(levels: Pixels, border: bool = False) -> Bools:
    """True where more than half of the annotators saw the object (grey levels, 255 for all).

    Source: the segmentations of CUB-200-2011, Wah et al. 2011.
    """
    return np.greater(levels, 127)


CONVENTIONS: dict[str, Convention] = {"binary": binary, "trimap": trimap, "votes": votes}


def read_mask(path: Path, size: int, convention: str, border: bool = False) -> tuple[Bools, Size]:
    """Where the object is (size, size), and the mask's size in the file.

    The convention is applied at full size, where the levels mean something; a small pixel then
    belongs to the object where most of its area does, or where more does than anywhere else.

    Raises:
        DataError: for a file that can't be read, or in which there is no object.
    """
    levels = read_levels(path)
    full = CONVENTIONS[convention](levels, border)
    if not full.any():
        raise DataError(
            f"{path} marks nothing as object, read as {convention!r} (its levels: "
            f"{', '.join(map(str, np.unique(levels)[:8]))}). Is that the right convention? "
            f"Known: {', '.join(CONVENTIONS)}."
        )
    image = Image.fromarray(full.astype(np.uint8) * 255)
    area = np.asarray(image.resize((size, size), Image.Resampling.BOX))
    return area >= min(128, area.max()), (levels.shape[1], levels.shape[0])
