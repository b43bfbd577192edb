"""Object masks, from a mask file's grey levels or from bounding boxes."""

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
SOFT = "have levels between black and white: pixels brighter than the middle are the object"
FEW = 8  # levels that may be labels; blurred or compressed masks have more
LARGE = 0.05  # share of the pixels that is more than an edge


class Mask(Protocol):
    """An object mask that is read when the picture is."""

    @property
    def path(self) -> Path:
        """The file of the mask."""

    @property
    def read_as(self) -> str:
        """How the file is read, for messages."""

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Frame]:
        """The mask (size, size) of an upright picture of the size `full`, and the mask's frame."""


@dataclass(frozen=True)
class MaskFile:
    """A mask in a picture file, whose levels are read by one of `CONVENTIONS`."""

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
    """The nonzero pixels of the array `seg` in a Matlab file, as in CUB-200 of 2010."""

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
    """Everything within one of the boxes, in pixels of the file; Stanford Dogs has only boxes.

    A box contains background too: everything outside is certainly background, but not everything
    inside is object. Boxes are clipped to the picture.
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
    """True where the mask is not zero, if zero is one of at most two levels.

    More levels come from blurring, scaling or compressing a black-and-white mask. If they still
    range from black to white, pixels brighter than the middle are the object.

    Raises:
        ValueError: if they don't, or if a third level covers an area, whose meaning is unknown.
    """
    found, counts = np.unique(levels, return_counts=True)
    if len(found) == 1 or (len(found) == 2 and found[0] == 0):
        return np.greater(levels, 0)
    white = next(top for top in (1, 255, 65535, np.inf) if found[-1] <= top)
    if not (found[0] < white / 4 and found[-1] > white * 3 / 4):
        raise ValueError(_not_binary(found, "which don't range from black to white"))
    between = (found > white / 4) & (found < white * 3 / 4)
    suspects = np.full(len(found), len(found) <= FEW) | between
    suspects[[0, -1]] = False
    if (counts[suspects] > LARGE * levels.size).any():
        level = found[suspects][counts[suspects].argmax()]
        raise ValueError(_not_binary(found, f"of which {level:g} covers an area of its own"))
    return np.greater(levels, white / 2)


def trimap(levels: Levels, border: bool = False) -> Bools:
    """True where an Oxford trimap is 1, object; with `border` also where it is 3, border.

    2 is background. Source: Parkhi, Vedaldi, Zisserman, Jawahar, Cats and Dogs, CVPR 2012.

    Raises:
        ValueError: if there are other levels besides objects.
    """
    marked = np.isin(levels, [1, 3] if border else [1])
    if marked.any() and not np.isin(levels, TRIMAP).all():
        found = ", ".join(f"{level:g}" for level in np.unique(levels)[:8])
        raise ValueError(f"its levels are {found}, but a trimap's are 1, 2 and 3")
    return marked


def votes(levels: Levels, border: bool = False) -> Bools:
    """True where more than half of the annotators marked the object (grey levels, 255 for all).

    If no pixel has a majority, the pixels with the most votes.

    Source: the segmentations of CUB-200-2011, Wah et al. 2011.

    Raises:
        ValueError: for levels above 255.
    """
    most = int(levels.max())
    if most > 255:
        raise ValueError(f"its levels reach {most}, but 255 means all annotators")
    return np.greater(levels, min(127, max(0, most - 1)))


CONVENTIONS: Registry[Convention] = Registry("mask convention")
for one in (binary, trimap, votes):
    CONVENTIONS.register(one.__name__)(one)


def read_mask(
    path: Path, size: int, convention: str, border: bool = False, crop: float | None = None
) -> tuple[Bools, Frame]:
    """The object's mask (size, size), turned by the file's EXIF orientation, and the file's frame.

    The convention is applied at full size, as resizing would mix levels.

    Raises:
        ConfigError: for an unknown convention.
        DataError: for a file that can't be read, doesn't follow the convention, or has no object.
    """
    levels, turn = read_levels(path, TRIMAP if convention == "trimap" else ())
    read = CONVENTIONS[convention]
    try:
        full = read(levels, border)
    except ValueError as error:
        raise DataError(
            f"{path} can't be read as {convention!r}: {error}. Is that the right convention? "
            f"Known: {', '.join(CONVENTIONS)}. Otherwise save it in black (0) and white (255)."
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
    """The mask (h, w) resized to (size, size), cropped like its picture.

    A pixel belongs to the object if at least half of its area does, or if no pixel reaches half and
    it has the largest share. The mask is empty if the object lies outside the crop.
    """
    image = Image.fromarray(full.astype(np.uint8) * 255)
    shown = window(image.size, crop)
    area = np.asarray(image.resize((size, size), Image.Resampling.BOX, box=shown))
    most: Bools = (area >= min(128, area.max())) & (area > 0)
    return most
