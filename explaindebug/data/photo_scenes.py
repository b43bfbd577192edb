"""Pieces of scene photographs to put objects in front of."""

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

Bands = Sequence[tuple[float, float]]  # from where to where, as shares of the width

WHOLE: Bands = ((0.0, 1.0),)
BANDS: dict[str, Bands] = {
    "train": ((0.0, 0.3), (0.7, 1.0)),
    "val": ((0.3, 0.5),),
    "test": ((0.5, 0.7),),
}
NARROWEST = 0.2
MANY = 10  # from so many files on, each file belongs to one split as a whole
OWNERS = ("train", "train", "train", "val", "test")
FRAME = 3  # pixels at a file's edge that are left out: some files carry a light or dark line there
SMALLEST = 64


@dataclass(frozen=True)
class PhotoScenes:
    """Pieces of scene photographs, another one for every row; no pixel serves two splits.

    With ten files or more, each file belongs to one split. With fewer, each is cut into bands:
    the outer 60 % of its width for training, 20 % each from the middle, which shows best what
    the picture is of, for validation and test. A piece is cut at random from its band, at most
    half taller than wide, flipped or not, and squeezed to a square; pieces of all splits are of
    the same scale, so that they look alike.

    Raises:
        ConfigError: for a region that is none.
        DataError: for a file that can't be read, or is too small.
    """

    files: tuple[Path, ...]
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  # left, top, right, bottom

    def __post_init__(self) -> None:
        left, top, right, bottom = self.region
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ConfigError(
                f"region {list(self.region)}: left, top, right, bottom as shares of the picture "
                "are needed, [0, 0, 1, 0.5] for its upper half."
            )

    @classmethod
    def found(
        cls, root: Path, pattern: str, name: str, region: Sequence[float] = (0.0, 0.0, 1.0, 1.0)
    ) -> "PhotoScenes":
        """All pictures that match, copies once; raises DataError where none does."""
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
                f"{list(self.region)} leaves fewer than {SMALLEST} each way: too small to cut "
                "scenes from."
            )
        return picture.crop((FRAME + x, FRAME + y, FRAME + x + wide, FRAME + y + tall))


def _piece(picture: Image.Image, bands: Bands, rng: np.random.Generator, size: int) -> Pixels:
    """A square (size, size, 3) from one of the bands."""
    w, h = picture.size
    left, right = bands[int(rng.integers(len(bands)))]
    wide = rng.uniform(0.6, 1) * min(h, w * (1 if bands is WHOLE else NARROWEST))
    tall = min(h, rng.uniform(1, 1.5) * wide)
    x, y = rng.uniform(left * w, right * w - wide), rng.uniform(0, h - tall)
    box = (math.ceil(x), math.ceil(y), math.floor(x + wide), math.floor(y + tall))
    piece = picture.crop(box).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(piece)[:, :: 1 if rng.random() < 0.5 else -1]
