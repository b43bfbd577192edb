"""The pictures of a report: small enough for one page, and as files for papers."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from explaindebug.files import write_atomically
from explaindebug.heatmaps import Pixels, colour
from explaindebug.palettes import diverging, sequential
from explaindebug.results import Gallery, RunResult
from explaindebug.strips import signs, strip

LEVELS = 31  # of each sign: with so few, a map costs 0.7 bytes a pixel, and no eye can tell
BYTES_PER_PIXEL = 0.95  # of a map, in base64
BUDGET = 18e6  # bytes for all maps of a page, so that it stays under 25 MB


@dataclass(frozen=True)
class Map:
    """A method's map of one input as the page shows it."""

    source: str  # data:image/webp;base64,...
    alt: str


@dataclass(frozen=True)
class Row:
    """The maps of one model or stage; None where a method was not measured."""

    name: str
    maps: tuple[Map | None, ...]


@dataclass(frozen=True)
class MapTable:
    """One input, and all maps of it."""

    caption: str
    input: str
    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    width: int
    height: int


def side(result: RunResult) -> int:
    """The height in pixels to which maps are shrunk so that all of them fit into a page."""
    count = sum(
        len(maps) * len(gallery.inputs)
        for test in result.tests
        for gallery in test.galleries
        for maps in gallery.maps.values()
    )
    return int(np.sqrt(BUDGET / BYTES_PER_PIXEL / max(count, 1)))


def map_tables(gallery: Gallery, names: Mapping[str, str], height: int) -> Iterator[MapTable]:
    """A table per input of the gallery, with maps at most `height` pixels high."""
    signed = signs(gallery)
    methods = [name for name in names if name in signed]
    for i, caption in enumerate(gallery.captions):
        rows = []
        for row, maps in gallery.maps.items():
            shown = [
                Map(
                    map_source(maps[m][i], height, signed=signed[m]),
                    f"{names[m]}, {row}: {caption}" + _broken(maps[m][i]),
                )
                if m in maps
                else None
                for m in methods
            ]
            rows.append(Row(row, tuple(shown)))
        picture = Image.fromarray(gallery.inputs[i])
        picture.thumbnail((10**6, max(height, 64)))
        labels = tuple(names[m] for m in methods)
        h, w = gallery.inputs[i].shape[:2]
        yield MapTable(caption, source(picture, quality=85), labels, tuple(rows), w, h)


def map_source(one: npt.NDArray[np.float32], height: int, *, signed: bool) -> str:
    """A map (h, w) as a data URI: shrunk by whole factors, in few levels, without loss."""
    small = _shrunk(one, -(-one.shape[0] // height))
    levels = np.rint(small * LEVELS) / LEVELS
    return source(Image.fromarray(colour(levels, signed=signed)), lossless=True)


def source(picture: Image.Image, **options: object) -> str:
    """The picture as a WebP in a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", **options)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def gradient(table: Pixels) -> str:
    """A colour scale as a CSS gradient."""
    stops = table[np.linspace(0, len(table) - 1, 17).round().astype(int)]
    return f"linear-gradient(to right,{','.join('#' + bytes(stop).hex() for stop in stops)})"


def scales() -> dict[str, str]:
    """Both colour scales as CSS gradients."""
    return {"diverging": gradient(diverging()), "sequential": gradient(sequential())}


def save_pictures(result: RunResult, folder: Path) -> list[Path]:
    """Write a strip per test and input, every map at its full size, as PNG files into `folder`."""
    written = []
    for test in result.tests:
        for g, gallery in enumerate(test.galleries):
            part = f"_{g}" if len(test.galleries) > 1 else ""
            for i in range(len(gallery.inputs)):
                buffer = io.BytesIO()
                picture = strip(gallery, result.methods, inputs=[i])
                Image.fromarray(picture).save(buffer, "PNG")
                name = f"{test.name}{part}_{i:03}.png"
                written.append(write_atomically(folder / name, buffer.getvalue()))
    return written


def _shrunk(one: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Means of squares of pixels; a NaN in a square stays visible as one."""
    if factor == 1:
        return one
    h, w = (n // factor for n in one.shape)
    squares = one[: h * factor, : w * factor].reshape(h, factor, w, factor)
    means: npt.NDArray[np.float32] = squares.mean((1, 3))
    return means


def _broken(one: npt.NDArray[np.float32]) -> str:
    share = np.isnan(one).mean()
    return "" if share == 0 else f" ({share:.0%} of its pixels are not numbers)"
