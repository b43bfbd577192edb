"""Crops of scene photographs as backgrounds for objects."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.copies import once
from explaindebug.data.folder_layout import find
from explaindebug.data.image_files import read_whole
from explaindebug.data.imageset import Labels, Pixels
from explaindebug.data.splits import row_rng

Bands = Sequence[tuple[float, float]]  # left and right ends, as shares of the width

WHOLE: Bands = ((0.0, 1.0),)
BANDS: dict[str, Bands] = {
    "train": ((0.0, 0.3), (0.7, 1.0)),
    "val": ((0.3, 0.5),),
    "test": ((0.5, 0.7),),
}
NARROWEST = 0.2
MANY = 10  # with at least this many files, each file belongs to one split as a whole
OWNERS = ("train", "train", "train", "val", "test")
FRAME = 3  # pixels cut off at a file's edges, where some have a light or dark line
SMALLEST = 64


@dataclass(frozen=True)
class PhotoScenes:
    """Random crops of scene photographs, one per row; splits never share a pixel.

    With ten files or more, each file belongs to one split. With fewer, each is divided into bands:
    the outer 60 % of its width for training, and 20 % each of the middle, which is most
    representative of the picture, for validation and test. A crop is random within its band, up to
    1.5 times as tall as wide, possibly flipped, and resized to a square; crops of all splits have
    the same scale, so that they look alike.

    Raises:
        ConfigError: for an invalid region.
        DataError: for a file that can't be read, or is too small.
    """

    files: tuple[Path, ...]
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  # left, top, right, bottom

    def __post_init__(self) -> None:
        left, top, right, bottom = self.region
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ConfigError(
                f"region={list(self.region)}, but left, top, right and bottom must be shares of "
                "the picture: [0, 0, 1, 0.5] is its upper half."
            )

    @classmethod
    def found(
        cls, root: Path, pattern: str, name: str, region: Sequence[float] = (0.0, 0.0, 1.0, 1.0)
    ) -> "PhotoScenes":
        """All matching pictures, without copies; raises DataError if there is none."""
        left, top, right, bottom = region
        what = f"scenes of class {name!r}"
        return cls(tuple(once(find(root, pattern, what), what)), (left, top, right, bottom))

    def __call__(self, rows: Labels, *, split: str, size: int, seed: int) -> Pixels:
        files, bands = self._share(split)
        draws = [row_rng(seed, split, row) for row in rows]
        chosen = np.array([rng.integers(len(files)) for rng in draws], dtype=np.int64)
        made = np.empty((len(rows), size, size, 3), np.uint8)
        for number in np.unique(chosen):  # so that each file is read once
            picture = self._open(files[number])
            for i in np.flatnonzero(chosen == number):
                made[i] = _piece(picture, bands, draws[i], size)
        return made

    def _share(self, split: str) -> tuple[Sequence[Path], Bands]:
        if len(self.files) < MANY:
            return self.files, BANDS[split]
        return [f for i, f in enumerate(self.files) if OWNERS[i % len(OWNERS)] == split], WHOLE

    def _open(self, path: Path) -> Image.Image:
        picture = read_whole(path)
        w, h = picture.width - 2 * FRAME, picture.height - 2 * FRAME
        left, top, right, bottom = self.region
        x, y = int(left * w), int(top * h)
        wide, tall = int(right * w) - x, int(bottom * h) - y
        if min(wide, tall) < SMALLEST:
            raise DataError(
                f"{path} is {picture.width} x {picture.height} pixels, of which the region "
                f"{list(self.region)} leaves fewer than {SMALLEST} in one direction, which is too "
                "small for scenes."
            )
        return picture.crop((FRAME + x, FRAME + y, FRAME + x + wide, FRAME + y + tall))


def _piece(picture: Image.Image, bands: Bands, rng: np.random.Generator, size: int) -> Pixels:
    """A random crop of one of the bands, resized to (size, size, 3)."""
    w, h = picture.size
    left, right = bands[int(rng.integers(len(bands)))]
    wide = rng.uniform(0.6, 1) * min(h, w * (1 if bands is WHOLE else NARROWEST))
    tall = min(h, rng.uniform(1, 1.5) * wide)
    x, y = rng.uniform(left * w, right * w - wide), rng.uniform(0, h - tall)
    box = (math.ceil(x), math.ceil(y), math.floor(x + wide), math.floor(y + tall))
    piece = picture.crop(box).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(piece)[:, :: 1 if rng.random() < 0.5 else -1]
