"""Where the object of a picture is: from a mask file's grey levels, or from boxes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from explaindebug.core.errors import DataError
from explaindebug.core.registry import Registry
from explaindebug.data.image_files import Frame, Size, Window, read_levels, read_mat, turned, window
from explaindebug.data.imageset import Bools
from explaindebug.data.modes import Levels

Convention = Callable[[Levels, bool], Bools]
TRIMAP = (1, 2, 3)  # object, background, border
SOFT = "have levels between black and white: what is brighter than the middle is the object"
FEW = 8  # levels that may be labels; blurred or compressed masks have more
LARGE = 0.05  # a share of the pixels that is no mere edge


class Mask(Protocol):
    """Where the object is, to be read when the picture is."""

    @property
    def path(self) -> Path:
        """The file that says it."""

    @property
    def read_as(self) -> str:
        """How the file is read, for messages."""

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Frame]:
        """The mask (size, size) of a picture that is `full` large, upright, and its own frame."""


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

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Frame]:
        return read_mask(self.path, size, self.convention, self.border, crop)


@dataclass(frozen=True)
class MatMask:
    """Not zero in the array `seg` of a Matlab file, as CUB-200 of 2010 has it."""

    path: Path
    read_as: str = "the array 'seg' of a .mat file"

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Frame]:
        object_ = np.greater(np.asarray(read_mat(self.path, "seg")["seg"]), 0)
        if object_.ndim != 2 or not object_.any():
            raise DataError(f"{self.path} marks nothing as object in its array 'seg'.")
        h, w = object_.shape
        return shrunk(object_, size, crop), Frame((w, h))


@dataclass(frozen=True)
class Boxes:
    """Everything in one of the boxes, in pixels of the file; all that is known of Stanford Dogs.

    A box holds background, too: what lies outside is no object for certain, but not all within is
    one. What reaches over the edge is cut.
    """

    path: Path
    boxes: tuple[Window, ...]
    read_as: str = "boxes"

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Frame]:
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
        return shrunk(inside, size, crop), Frame(full)


def binary(levels: Levels, border: bool = False) -> Bools:
    """True where the mask is not zero, if zero is one of two levels at most.

    More levels come from blurring, scaling or compressing a mask in black and white. Where they
    still run from black to white, the object is what is brighter than the middle.

    Raises:
        ValueError: where they don't, or where a third level covers an area: what it means is not
            known.
    """
    found, counts = np.unique(levels, return_counts=True)
    if len(found) == 1 or (len(found) == 2 and found[0] == 0):
        return np.greater(levels, 0)
    white = next(top for top in (1, 255, 65535, np.inf) if found[-1] <= top)
    if not (found[0] < white / 4 and found[-1] > white * 3 / 4):
        raise ValueError(_not_binary(found, "which don't run from black to white"))
    between = (found > white / 4) & (found < white * 3 / 4)
    suspects = np.full(len(found), len(found) <= FEW) | between
    suspects[[0, -1]] = False
    if (counts[suspects] > LARGE * levels.size).any():
        level = found[suspects][counts[suspects].argmax()]
        raise ValueError(_not_binary(found, f"of which {level:g} covers an area of its own"))
    return np.greater(levels, white / 2)


def trimap(levels: Levels, border: bool = False) -> Bools:
    """True where an Oxford trimap says 1, object; with `border` also where it says 3, border.

    2 is background. Source: Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs, CVPR 2012.

    Raises:
        ValueError: where there are other levels beside objects.
    """
    marked = np.isin(levels, [1, 3] if border else [1])
    if marked.any() and not np.isin(levels, TRIMAP).all():
        found = ", ".join(f"{level:g}" for level in np.unique(levels)[:8])
        raise ValueError(f"its levels are {found}, a trimap's 1, 2 and 3")
    return marked


def votes(levels: Levels, border: bool = False) -> Bools:
    """True where more than half of the annotators saw the object (grey levels, 255 for all).

    Where they agree on no pixel, those with the most votes.

    Source: the segmentations of CUB-200-2011, Wah et al. 2011.

    Raises:
        ValueError: for levels above 255.
    """
    most = int(levels.max())
    if most > 255:
        raise ValueError(f"its levels reach {most}, and 255 stands for all annotators")
    return np.greater(levels, min(127, max(0, most - 1)))


CONVENTIONS: Registry[Convention] = Registry("mask convention")
for one in (binary, trimap, votes):
    CONVENTIONS.register(one.__name__)(one)


def read_mask(
    path: Path, size: int, convention: str, border: bool = False, crop: float | None = None
) -> tuple[Bools, Frame]:
    """Where the object is (size, size), turned as the file's EXIF says, and the file's frame.

    The convention is applied at full size, where the levels mean something.

    Raises:
        ConfigError: for an unknown convention.
        DataError: for a file that can't be read, that doesn't follow the convention, or in which
            there is no object.
    """
    levels, turn = read_levels(path, TRIMAP if convention == "trimap" else ())
    read = CONVENTIONS[convention]
    try:
        full = read(levels, border)
    except ValueError as error:
        raise DataError(
            f"{path} can't be read as {convention!r}: {error}. Is that the right convention? "
            f"Known: {', '.join(CONVENTIONS)}. Else save it in black (0) and white (255)."
        ) from error
    if not full.any():
        raise DataError(
            f"{path} marks nothing as object, read as {convention!r} (its levels: "
            f"{', '.join(f'{level:g}' for level in np.unique(levels)[:8])}). Is that the right "
            f"convention? Known: {', '.join(CONVENTIONS)}."
        )
    soft = convention == "binary" and not np.array_equal(full, levels != 0)
    frame = Frame((levels.shape[1], levels.shape[0]), turn, (SOFT,) if soft else ())
    return turned(shrunk(full, size, crop), turn), frame


def _not_binary(found: Levels, why: str) -> str:
    some = ", ".join(f"{level:g}" for level in found[:8]) + (", ..." if len(found) > 8 else "")
    return f"it has {len(found)} levels ({some}), {why}"


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
