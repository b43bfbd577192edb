"""Base of spurious signals: cues that occur with a class but have nothing to do with it."""

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

BATCH = 64  # pictures that are made at once, which bounds the memory


class Placed(NamedTuple):
    """Pictures with a signal, where the signal is, and the signal alone."""

    pixels: Pixels  # (n, h, w, c)
    signals: Bools  # (n, h, w), True where the signal is: what a map should highlight
    alone: Pixels  # (n, h, w, c) the signal without the object


@dataclass(frozen=True)
class SpuriousSignal(DataBug):
    """Adds to pictures the signal of their class: a scene, a tag, stripes, a blur.

    In the training data, round(fraction n) pictures of each class that has a signal carry it; the
    rest are not changed. All test pictures carry one, so that a model's reliance can be measured:
    that of their own class if it has one, else that of the first class that does.

    `signals` marks its pixels, and `scenes` holds the signal without the object, so that a model's
    prediction from the signal alone can be measured; for pictures that are not affected, it is
    known only if the clean data has it.

    Raises:
        ConfigError: for a fraction outside [0, 1].
    """

    visible: ClassVar[bool] = True  # False for a signal that is not obvious to people
    strength_option: ClassVar[str] = ""  # the option whose larger values make it more obvious

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
        """Raises DataError if the data doesn't allow the signal."""

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.label

    @property
    def stronger(self) -> str:
        """What would make it more obvious, for messages; empty if nothing would."""
        return f"a larger {self.strength_option} of {self.name}" if self.strength_option else ""

    def carried_class(self, data: ImageSet) -> Labels:
        """The class (n,) whose signal each picture carries if it is affected."""
        with_signal = np.asarray(self.classes(data))
        return np.where(np.isin(data.truth, with_signal), data.truth, with_signal[0])

    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        rows, labels = self.affected(data, split), self.carried_class(data)
        return self._with_signal(data, rows, labels, scenes, split)

    def added(
        self, data: ImageSet, label: int, *, scenes: Scenes | None = None, split: str = "test"
    ) -> ImageSet:
        """All pictures with the signal of one class, whatever their own class."""
        rows, labels = np.arange(len(data)), np.full(len(data), label)
        return self._with_signal(data, rows, labels, scenes, split)

    def affected(self, data: ImageSet, split: str = "train") -> Labels:
        if split == "test":
            return np.arange(len(data))
        chance, rows = uniform(data, self.seed, 2), []
        for label in self.classes(data):
            here = np.flatnonzero(data.truth == label)
            first = np.argsort(chance[here], kind="stable")[: round(self.fraction * len(here))]
            rows.append(here[first])
        return np.sort(np.concatenate(rows))

    def _with_signal(
        self, data: ImageSet, rows: Labels, labels: Labels, scenes: Scenes | None, split: str
    ) -> ImageSet:
        self.check(data, scenes or {})
        pixels = data.pixels.copy()
        signals = np.zeros(pixels.shape[:3], np.bool_)
        alone = np.empty_like(pixels) if data.scenes is None else data.scenes.copy()
        for batch in np.array_split(rows, len(rows) // BATCH + 1):
            placed = self.place(data.subset(batch), labels[batch], scenes or {}, split)
            pixels[batch], signals[batch], alone[batch] = placed
        known = data.scenes is not None or len(rows) == len(data)
        return replace(data, pixels=pixels, signals=signals, scenes=alone if known else None)


@dataclass(frozen=True)
class OfOneClass(SpuriousSignal):
    """A signal that one class carries."""

    aligned: str | None = None  # the class that carries it; None for the first one

    def classes(self, data: ImageSet) -> Sequence[int]:
        return [class_named(self.aligned, data.classes, "aligned")]


def without_object(data: ImageSet) -> Pixels:
    """What a signal stands on if the object is left out, (n, h, w, c): scene, or mean colour."""
    plain = data.pixels.mean((1, 2), keepdims=True).round().astype(np.uint8)
    return np.broadcast_to(plain, data.pixels.shape) if data.scenes is None else data.scenes


def class_named(name: str | None, classes: Sequence[str], option: str) -> int:
    """The index of the class with this name; None is the first class.

    Raises:
        ConfigError: for an unknown name.
    """
    if name is None:
        return 0
    if name not in classes:
        hint = nearest(name, list(classes))
        raise ConfigError(f"{option}={name}: no such class.{hint} Known: {', '.join(classes)}.")
    return list(classes).index(name)
