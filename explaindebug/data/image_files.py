"""Read picture files into arrays."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from explaindebug.core.errors import DataError
from explaindebug.data.imageset import Pixels
from explaindebug.data.memory import Room
from explaindebug.data.modes import Levels, Notes, colours, labels, levels

Size = tuple[int, int]  # width, height, as in Pillow
Window = tuple[float, float, float, float]  # left, top, right, bottom in pixels
A = TypeVar("A", bound=npt.NDArray[Any])

DECODED = 16  # most bytes per pixel during conversion
STORED = 6  # most bytes per stored pixel in a JPEG's decoder, even if it decodes at an eighth
DECODING = Room(2**30)  # bytes shared by all pictures that are decoded at the same time
ORIENTATION = 0x0112  # the EXIF tag
TURNS: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {  # stored to upright, by EXIF
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 3),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}
INVERSE = {6: 8, 8: 6}  # turns that are not their own inverse


@dataclass(frozen=True)
class Frame:
    """A picture's size as stored, and how it has to be turned.

    `notes` are decisions in reading it that are worth reporting: "have several frames, ...".
    """

    size: Size
    turn: int = 1  # EXIF orientation, 1 to 8; 1 means stored upright
    notes: Notes = ()

    @property
    def upright(self) -> Size:
        """The size after turning."""
        w, h = self.size
        return (h, w) if self.turn >= 5 else (w, h)


@contextmanager
def opened(path: Path, what: str = "picture") -> Iterator[Image.Image]:
    """The opened picture file; anything that Pillow or `modes` can't read becomes a DataError."""
    try:
        with Image.open(path) as image:
            yield image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path} is too large to be decoded ({error}). Shrink it or move it away."
        ) from error
    except (
        *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
        *(IndexError, KeyError, OverflowError, Image.DecompressionBombWarning),
    ) as error:
        raise DataError(
            f"{path} can't be read as a {what} ({error}). Replace the file or move it away."
        ) from error


@contextmanager
def decoding(image: Image.Image, full: Size) -> Iterator[None]:
    """Wait until there is memory to decode a picture of the size `full` in its file.

    This keeps threads that decode large pictures at once within `DECODING`; small ones never wait.
    """
    w, h = full
    with DECODING.taken(STORED * w * h + DECODED * image.width * image.height):
        yield


def turned(array: A, turn: int) -> A:
    """A stored picture or mask (h, w, ...) turned by an EXIF orientation; 1 changes nothing."""
    return TURNS[turn](array) if turn in TURNS else array  # type: ignore[return-value]


def unturned(array: A, turn: int) -> A:
    """The inverse of `turned`."""
    return turned(array, INVERSE.get(turn, turn))


def turn_of(image: Image.Image) -> int:
    """The EXIF orientation of a decoded picture; Pillow turns TIFF files itself."""
    turn = image.getexif().get(ORIENTATION, 1)
    return turn if turn in TURNS else 1


def window(size: Size, crop: float | None = None) -> Window:
    """The visible part of a picture of this size: all of it, or with `crop` a centred square.

    `crop` is the square's side as a share of the picture's shorter side; 0.875 is ImageNet's usual
    crop, which scales the shorter side to 256 pixels and cuts out 224 x 224.
    """
    w, h = size
    if crop is None:
        return (0, 0, w, h)
    side = crop * min(w, h)
    left, top = (w - side) / 2, (h - side) / 2
    return (left, top, left + side, top + side)


def read_picture(
    path: Path, size: int, crop: float | None = None, *, upright: bool = True
) -> tuple[Pixels, Frame]:
    """The picture's `window` resized to (size, size, 3), antialiased, and its frame.

    With `upright` it is turned by its EXIF orientation; otherwise it stays as stored, and the frame
    has no turn.

    Raises:
        DataError: for a file that can't be read, or whose colours are ambiguous (see `modes`).
    """
    with opened(path) as image:
        full = image.size
        image.draft("RGB", (2 * size, 2 * size))  # a JPEG may decode at a half or a quarter: faster
        shown = window(image.size, crop)
        with decoding(image, full):
            rgb, notes = colours(image)
            small = np.asarray(rgb.resize((size, size), Image.Resampling.BICUBIC, box=shown))
        turn = turn_of(image) if upright else 1
    return turned(small, turn), Frame(full, turn, notes)


def read_whole(path: Path) -> Image.Image:
    """The picture at full size in RGB, upright.

    Raises:
        DataError: as `read_picture` does.
    """
    with opened(path) as image, decoding(image, image.size):
        rgb, _ = colours(image)
        turn = turn_of(image)
    return rgb if turn == 1 else Image.fromarray(turned(np.asarray(rgb), turn))


def read_levels(path: Path, known: tuple[int, ...] = ()) -> tuple[Levels, int]:
    """A mask's stored levels (h, w), as the numbers in `known` if given, and its turn.

    Raises:
        DataError: for a file that can't be read, or whose levels are ambiguous (see `modes`).
    """
    with opened(path, "mask") as image, decoding(image, image.size):
        found = labels(image, known) if known else levels(image)
        return found, turn_of(image)


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
            f"{path} can't be read as a Matlab file ({error}). Download it again."
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path} has no variable {', '.join(missing)}. Is it the right file?")
    return found
