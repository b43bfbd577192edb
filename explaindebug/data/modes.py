"""Convert Pillow's modes to colours of a picture, or to levels or labels of a mask.

Functions raise ValueError, with the value and the remedy, if the meaning of pixels is ambiguous;
`opened` of `explaindebug.data.image_files` adds the file's name.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Levels = npt.NDArray[Any]  # (h, w), any kind of number

NUMBERS = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # one number per pixel, wider than a byte
DEEP = ("RGB;16", "RGBA;16", "RGBX;16", "LA;16")  # raw modes of files with 16 bits per channel
PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
DARK = 16  # of 255: a 16-bit picture that is no brighter really has fewer bits
GREYISH = 32  # largest difference between a JPEG's channels if the picture was grey
FRAMES = "have several frames or pages, of which the first is used"
SIXTEEN = "have 16 bits per channel, of which the upper 8 are kept"
TRANSPARENT = "are partly transparent, which is rendered on white"

Notes = tuple[str, ...]


def colours(image: Image.Image) -> tuple[Image.Image, Notes]:
    """The picture in RGB, 8 bits per channel, and the decisions made in converting it."""
    notes = [FRAMES] if _has_frames(image) else []
    deep = _is_deep(image)
    if image.mode in NUMBERS:
        image = Image.fromarray(_bytes(image))
    rgb = _flat(_plain(image), notes)
    if deep:
        notes.append(SIXTEEN)
        brightest = max(int(high) for _, high in rgb.getextrema())  # type: ignore[misc]
        if brightest < DARK:
            raise ValueError(
                f"the upper 8 of its 16 bits reach only {brightest} of 255, as for 12-bit data, so "
                "it would be nearly black: rescale its values to 8 bits"
            )
    return rgb, tuple(notes)


def levels(image: Image.Image) -> Levels:
    """The grey levels of a mask as displayed: a palette's colours, not its indices.

    If there are two colours, one of them black, the other counts as white (255).
    """
    if _has_frames(image):
        raise ValueError("it has several frames or pages: save only the right one")
    if image.mode in NUMBERS:
        found = np.asarray(image)
        if not (np.isfinite(found).all() and found.min() >= 0):
            raise ValueError("it has levels that are negative or not finite")
        return found
    image = _plain(image)
    if not image.has_transparency_data:
        return _grey(image)
    seen = image.convert("RGBA")
    alpha = np.asarray(seen)[..., 3]
    grey = _grey(seen)
    if alpha.min() == 255:
        return grey
    if grey[alpha == 0].any() or not grey[alpha == 255].all():
        raise ValueError(
            "it is partly transparent, and its opaque pixels are not its bright ones: "
            "save it in black and white without an alpha channel"
        )
    return np.where(alpha >= 128, grey, 0).astype(np.uint8)


def labels(image: Image.Image, known: tuple[int, ...]) -> Levels:
    """A mask's labels, which should be among `known`: its levels, or its palette's indices.

    Palette indices are used unless the colours themselves are known labels, as programs that
    optimise files reorder palettes but keep the colours.
    """
    if image.mode != "P":
        return levels(image)
    seen = np.asarray(image.convert("RGB"))
    same = (seen == seen[..., :1]).all()
    if same and np.isin(seen[..., 0], known).all():
        return np.array(seen[..., 0])
    return np.asarray(image)


def _has_frames(image: Image.Image) -> bool:
    # In MPO files, which phones write, further frames are previews or the view of a second lens.
    return bool(getattr(image, "is_animated", False)) and image.format != "MPO"


def _is_deep(image: Image.Image) -> bool:
    """Whether the file has 16 bits per channel; known only before it is decoded."""
    tiles: list[Any] = getattr(image, "tile", [])
    raw = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in tiles if tile[3]]
    return image.mode in NUMBERS[:-1] or any(str(mode).startswith(DEEP) for mode in raw)


def _plain(image: Image.Image) -> Image.Image:
    """The same picture in a mode that converts to RGB correctly."""
    if image.mode == "LAB":
        raise ValueError("its colours are L*a*b*: save it as RGB")
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        raise ValueError("it doesn't say whether its inks (CMYK) are inverted: save it as RGB")
    return image.convert(PREMULTIPLIED[image.mode]) if image.mode in PREMULTIPLIED else image


def _flat(image: Image.Image, notes: list[str]) -> Image.Image:
    """The picture in RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    lowest, _ = seen.getchannel("A").getextrema()
    if lowest == 255:
        return seen.convert("RGB")
    notes.append(TRANSPARENT)
    white = Image.new("RGBA", seen.size, "white")
    white.alpha_composite(seen)
    return white.convert("RGB")


def _bytes(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Wider numbers as 8 bits: the upper 8 of 16, or floats of 0 to 1."""
    found = np.asarray(image)
    low, high = found.min(), found.max()
    whole = image.mode != "F"
    if not (low >= 0 and high <= (65535 if whole else 1)):
        raise ValueError(
            f"its values range from {low:g} to {high:g}, but black and white are known only for "
            f"{'0 to 65535' if whole else 'floats from 0 to 1'}: save it with 8 bits"
        )
    if whole:
        return (found.astype(np.int32) >> 8).astype(np.uint8)
    return np.round(found * 255).astype(np.uint8)


def _grey(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Grey levels, if the colours are (nearly) grey, or black and one other."""
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    seen = np.asarray(image.convert("RGB"))
    if int((seen.max(2) - seen.min(2)).max()) <= GREYISH:
        return np.asarray(Image.fromarray(seen).convert("L"))
    packed = seen.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found = np.unique(packed)
    if len(found) != 2 or found[0] != 0:
        some = ", ".join(f"#{colour:06x}" for colour in found[:4])
        raise ValueError(
            f"it has {len(found)} colours ({some}{', ...' if len(found) > 4 else ''}), and it is "
            "unclear which of them are the object: save it in black and white"
        )
    return np.where(packed > 0, 255, 0).astype(np.uint8)
