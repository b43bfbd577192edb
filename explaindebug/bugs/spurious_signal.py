"""What goes with a class and has nothing to do with it: the base of all spurious signals."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from explaindebug.bugs.base import DataBug, share, uniform
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes

TOGETHER = 64  # pictures that are made at once: bounds the memory


class Placed(NamedTuple):
    """Pictures with a signal, and what is known about it."""

    pixels: Pixels  # (n, h, w, c)
    signals: Bools  # (n, h, w), True where the signal is: exactly what a map should show
    alone: Pixels  # (n, h, w, c) the signal without the object


@dataclass(frozen=True)
class SpuriousSignal(DataBug):
    """Pictures that carry the signal of their class: a scene, a tag, stripes, a blur.

    Of the pictures to train on, each class that has a signal carries it in round(fraction n); the
    rest stay as they are. Test pictures all carry one, so that a model's reliance can be measured:
    their own class's where every class has one, else that of the one class that does.

    `signals` says where it is, pixel by pixel, and `scenes` holds the signal without the object,
    so that a model can be asked what the signal alone says; for pictures that are not struck it is
    known only where the clean data knows it.

    Raises:
        ConfigError: for a fraction outside [0, 1].
    """

    visible: ClassVar[bool] = True  # False for a signal that nobody would call one
    plainer: ClassVar[str] = ""  # the option that makes it plainer where it is larger

    fraction: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        share("fraction", self.fraction)

    @abstractmethod
    def classes(self, data: ImageSet) -> Sequence[int]:
        """The classes that have a signal."""

    @abstractmethod
    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        """Every picture with the signal of the class in `labels` (n,)."""

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises DataError where the data doesn't allow the signal."""

    def says(self, data: ImageSet) -> Labels:
        """The class (n,) whose signal each picture carries where it is struck."""
        with_signal = np.asarray(self.classes(data))
        return np.where(np.isin(data.truth, with_signal), data.truth, with_signal[0])

    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        return self._made(data, self.struck(data, split), self.says(data), scenes, split)

    def added(
        self, data: ImageSet, label: int, *, scenes: Scenes | None = None, split: str = "test"
    ) -> ImageSet:
        """All pictures with the signal of one class, whatever they show."""
        everyone, labels = np.arange(len(data)), np.full(len(data), label)
        return self._made(data, everyone, labels, scenes, split)

    def struck(self, data: ImageSet, split: str = "train") -> Labels:
        if split == "test":
            return np.arange(len(data))
        chance, rows = uniform(data, self.seed, 2), []
        for label in self.classes(data):
            here = np.flatnonzero(data.truth == label)
            first = np.argsort(chance[here], kind="stable")[: round(self.fraction * len(here))]
            rows.append(here[first])
        return np.sort(np.concatenate(rows))

    def _made(
        self, data: ImageSet, rows: Labels, labels: Labels, scenes: Scenes | None, split: str
    ) -> ImageSet:
        self.check(data, scenes or {})
        pixels = data.pixels.copy()
        signals = np.zeros(pixels.shape[:3], np.bool_)
        alone = np.empty_like(pixels) if data.scenes is None else data.scenes.copy()
        for where in np.array_split(rows, len(rows) // TOGETHER + 1):
            some = self.place(data.subset(where), labels[where], scenes or {}, split)
            pixels[where], signals[where], alone[where] = some
        known = data.scenes is not None or len(rows) == len(data)
        return replace(data, pixels=pixels, signals=signals, scenes=alone if known else None)


def class_named(name: str | None, classes: Sequence[str], option: str) -> int:
    """The class of that name, or the first where None is given.

    Raises:
        ConfigError: for a name that no class has.
    """
    if name is None:
        return 0
    if name not in classes:
        hint = nearest(name, list(classes))
        raise ConfigError(f"{option}={name}: no such class.{hint} Known: {', '.join(classes)}.")
    return list(classes).index(name)
