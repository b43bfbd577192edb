"""From outlines to pixels: how much of each pixel each paint covers, and the paint on it."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from explaindebug.data.synthetic.brushes import Drawing

Floats = npt.NDArray[np.float32]
Sheet = npt.NDArray[np.uint8]

FINE = 4  # every pixel is drawn as FINE x FINE points, hence 17 levels of coverage


def coverage(drawing: Drawing, size: int, roles: int, *, contour: float = 0) -> Floats:
    """(size, size, roles + 1): the share of each pixel that each role covers; role 0 is empty.

    The drawing is in picture coordinates. Shares add up to 1, so `[..., 0]` is exactly how much of
    the background is visible. With a `contour`, the last role is a line of that width (relative to
    the picture) around the drawing.
    """
    sheet = Image.new("L", (size * FINE, size * FINE))
    pen = ImageDraw.Draw(sheet)
    for shape in drawing:
        pen.polygon((shape.outline * (size * FINE) - 0.5).ravel().tolist(), fill=shape.role)
    points = np.asarray(sheet)
    if contour:
        points = _outlined(points, round(contour * size * FINE), roles)
    return _shares(points, size, roles + 1)


def paint(cover: Floats, scene: Floats, colours: npt.ArrayLike) -> Floats:
    """The scene (size, size, 3) with the drawing in front, in one colour per role (roles, 3)."""
    flat = cover.reshape(-1, cover.shape[-1])
    front = flat[:, 1:] @ np.asarray(colours, dtype=np.float32)
    return scene * cover[..., :1] + front.reshape(scene.shape)


def to_bytes(picture: Floats) -> npt.NDArray[np.uint8]:
    """A picture 0 to 1 as bytes, clipped."""
    return (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _outlined(points: Sheet, width: int, ink: int) -> Sheet:
    """The points with `ink` on all empty ones within `width` of the drawing."""
    near = points > 0
    for step in range(width):
        grown = near.copy()
        grown[1:] |= near[:-1]
        grown[:-1] |= near[1:]
        source = grown if step % 3 == 1 else near  # a square after two diamonds: nearly a circle
        wide = grown.copy()
        wide[:, 1:] |= source[:, :-1]
        wide[:, :-1] |= source[:, 1:]
        near = wide
    return np.where(near & (points == 0), np.uint8(ink), points)


def _shares(points: Sheet, size: int, bins: int) -> Floats:
    counts = np.bincount((_first_bin(size, bins) + points).ravel(), minlength=size * size * bins)
    return (counts.reshape(size, size, bins) / FINE**2).astype(np.float32)


@lru_cache(maxsize=8)
def _first_bin(size: int, bins: int) -> npt.NDArray[np.int64]:
    pixel = np.arange(size * size, dtype=np.int64).reshape(size, size) * bins
    return pixel.repeat(FINE, axis=0).repeat(FINE, axis=1)
