"""Where the object of a picture is: from a mask file's grey levels, or from boxes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from explaindebug.data.imageset import Bools, Pixels
from explaindebug.data.reading import Size, Window, read_levels, read_mat, window
from explaindebug.errors import DataError

Convention = Callable[[Pixels, bool], Bools]


class Mask(Protocol):
    """Where the object is, to be read when the picture is."""

    @property
    def path(self) -> Path:
        """The file that says it."""

    @property
    def read_as(self) -> str:
        """How the file is read, for messages."""

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Size]:
        """The mask (size, size) of a picture that is `full` large, and the mask's own size."""


@dataclass(frozen=True)
class MaskFile:
    """A picture of the mask; its levels are read by one of `CONVENTIONS`."""

    path: Path
    convention: str = "binary"
    border: bool = False

    @property
    def read_as(self) -> str:
        """The convention."""
        return repr(self.convention)

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Size]:
        return read_mask(self.path, size, self.convention, self.border, crop)


@dataclass(frozen=True)
class MatMask:
    """Not zero in the array `seg` of a Matlab file, as CUB-200 of 2010 has it."""

    path: Path
    read_as: str = "the array 'seg' of a .mat file"

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Size]:
        object_ = np.greater(np.asarray(read_mat(self.path, "seg")["seg"]), 0)
        if object_.ndim != 2 or not object_.any():
            raise DataError(f"{self.path} marks nothing as object in its array 'seg'.")
        h, w = object_.shape
        return shrunk(object_, size, crop), (w, h)


@dataclass(frozen=True)
class Boxes:
    """Everything in one of the boxes, in pixels of the file; all that is known of Stanford Dogs.

    A box holds background, too: what lies outside is no object for certain, but not all within is
    one. What reaches over the edge is cut.
    """

    path: Path
    boxes: tuple[Window, ...]
    read_as: str = "boxes"

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Size]:
        w, h = full
        inside = np.zeros((h, w), np.bool_)
        for left, top, right, bottom in self.boxes:
            rows = slice(max(0, round(top)), max(0, round(bottom)))
            inside[rows, max(0, round(left)) : max(0, round(right))] = True
        if not inside.any():
            raise DataError(
                f"{self.path} has no box within its picture of {w} x {h} pixels: "
                f"{', '.join(map(str, self.boxes)) or 'none at all'}."
            )
        return shrunk(inside, size, crop), full


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

    Where they agree on no pixel, those with the most votes.

    Source: the segmentations of CUB-200-2011, Wah et al. 2011.
    """
    return np.greater(levels, min(127, max(0, int(levels.max()) - 1)))


CONVENTIONS: dict[str, Convention] = {"binary": binary, "trimap": trimap, "votes": votes}


def read_mask(
    path: Path, size: int, convention: str, border: bool = False, crop: float | None = None
) -> tuple[Bools, Size]:
    """Where the object is (size, size), and the mask's size in the file.

    The convention is applied at full size, where the levels mean something.

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
    return shrunk(full, size, crop), (levels.shape[1], levels.shape[0])


def shrunk(full: Bools, size: int, crop: float | None = None) -> Bools:
    """The mask (h, w) as (size, size), cut as its picture is.

    A small pixel belongs to the object where most of its area does, or where more does than
    anywhere else. Where the object lies outside of what is shown, nothing does.
    """
    image = Image.fromarray(full.astype(np.uint8) * 255)
    shown = window(image.size, crop)
    area = np.asarray(image.resize((size, size), Image.Resampling.BOX, box=shown))
    most: Bools = (area >= min(128, area.max())) & (area > 0)
    return most
