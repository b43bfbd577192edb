"""Pictures of which everything is known: what gives the class away, and where it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from explaindebug.data.imageset import ImageSet, Labels, Pixels, Splits
from explaindebug.data.scenes import Scenes
from explaindebug.datamodules.base import DebugDataModule

SIDE, SQUARE = 24, 10  # px
CONTRAST = 30  # of the stripes: plain enough to learn, less plain than a scene
Paint = Callable[[int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Tinted:
    """Scenes of one tint with a little noise, which a network tells from those of another."""

    tint: tuple[int, int, int]

    def __call__(self, rows: Labels, *, split: str, size: int, seed: int) -> Pixels:
        made = np.empty((len(rows), size, size, 3), np.uint8)
        for i, row in enumerate(rows):
            rng = np.random.default_rng([seed, len(split), int(row)])
            made[i] = np.array(self.tint) + rng.integers(-15, 16, (size, size, 3))
        return made


class Squares(DebugDataModule):
    """A square somewhere in front of a background of any colour: its pattern is the class.

    Neither place nor background has to do with the class, so that a network without a bug can look
    nowhere else, while one that learned a scene need not look at the square at all.
    """

    names: ClassVar[tuple[str, ...]]
    paint: ClassVar[Paint]  # (label, generator) -> grey levels (SQUARE, SQUARE)

    def __init__(
        self, *, train: int, val: int, test: int, size: int = SIDE, **options: Any
    ) -> None:
        super().__init__(**options)
        self.counts = (train, val, test)

    def load(self) -> Splits:
        return Splits(*(self._drawn(count, seed) for seed, count in enumerate(self.counts)))

    def _drawn(self, count: int, seed: int) -> ImageSet:
        rng = np.random.default_rng(seed)
        labels = np.arange(count, dtype=np.int64) % len(self.names)
        noise = rng.integers(-8, 9, (count, SIDE, SIDE, 3))
        scenes = (rng.integers(50, 206, (count, 1, 1, 3)) + noise).astype(np.uint8)
        pixels, masks = scenes.copy(), np.zeros((count, SIDE, SIDE), np.bool_)
        for i, label in enumerate(labels):
            top, left = rng.integers(1, SIDE - SQUARE, 2)
            here = np.s_[i, top : top + SQUARE, left : left + SQUARE]
            pixels[here] = type(self).paint(int(label), rng)[..., None]
            masks[here] = True
        return ImageSet(pixels, labels, self.names, masks=masks, scenes=scenes)


class Striped(Squares):
    """Stripes across or upright; a spurious background is blue or orange."""

    names = ("across", "upright")

    @staticmethod
    def paint(label: int, rng: np.random.Generator) -> np.ndarray:
        y, x = np.mgrid[:SQUARE, :SQUARE]
        bright = ((x if label else y) + rng.integers(4)) % 4 < 2
        return np.where(bright, 128 + CONTRAST, 128 - CONTRAST)

    @property
    def scenes(self) -> Scenes:
        return {"across": Tinted((60, 90, 200)), "upright": Tinted((200, 120, 60))}


class Shaded(Squares):
    """Dark, grey or bright squares: another domain, of three classes."""

    names = ("dark", "grey", "bright")

    @staticmethod
    def paint(label: int, rng: np.random.Generator) -> np.ndarray:
        return 20 + 100 * label + rng.integers(-8, 9, (SQUARE, SQUARE))
