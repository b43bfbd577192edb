"""Data sets in memory: pictures with labels, masks and scenes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from explaindebug.core.errors import DataError

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = Sequence[int] | slice | Labels


class Sample(NamedTuple):
    """A training example; a batch has the same fields, stacked."""

    image: Tensor  # (c, h, w) float32, normalised
    label: Tensor  # () int64, the given label
    row: Tensor  # () int64, position in the clean data of this split


class MaskedSample(NamedTuple):
    """An example of a probe, with what the spurious test needs besides the picture."""

    image: Tensor  # (c, h, w) float32, normalised
    label: Tensor  # () int64
    row: Tensor  # () int64
    signal: Tensor  # (1, h, w) bool, True where the spurious signal is, mostly the background
    scene: Tensor | None  # (c, h, w) the same picture without its object, normalised


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[Sample]):
    """Pictures in memory as bytes, served as normalised floats.

    `labels` are the given labels, which a model is trained on, `truth` the true labels; they differ
    where a bug flipped them. `scenes` holds each picture without its object, if known. `signals`
    marks what a bug added that gives the class away; it defaults to everything outside the masks.
    A bug never changes an `ImageSet` but makes a new one.

    Raises:
        DataError: if the arrays don't fit together, or a label lies outside the classes.
    """

    pixels: Pixels  # (n, h, w, c), c = 1 or 3
    labels: Labels  # (n,)
    classes: tuple[str, ...]
    masks: Bools | None = None  # (n, h, w), True on the object
    scenes: Pixels | None = None  # (n, h, w, c)
    truth: Labels = None  # type: ignore[assignment]  # (n,), defaults to `labels`
    indices: Labels = None  # type: ignore[assignment]  # (n,), defaults to 0..n-1
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    signals: Bools | None = None  # (n, h, w), True where a spurious signal is
    groups: Labels | None = None  # (n,), what a class may be confused with: background, sex, ...
    group_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._default("truth", self.labels)
        self._default("indices", np.arange(len(self.pixels), dtype=np.int64))
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8:
            raise DataError(
                f"pictures must be uint8 (n, h, w, c), got {self.pixels.dtype} {self.pixels.shape}."
            )
        n, h, w, c = self.pixels.shape
        self._check("masks", (n, h, w), np.bool_)
        self._check("signals", (n, h, w), np.bool_)
        self._check("scenes", (n, h, w, c), np.uint8)
        for name in ("labels", "truth", "indices", "groups"):
            self._check(name, (n,), np.int64)
        self._check_names("labels", self.classes, "classes")
        self._check_names("truth", self.classes, "classes")
        if self.groups is not None:
            self._check_names("groups", self.group_names, "group_names")

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> Sample:
        return Sample(*(x[0] for x in self.batch([i])))

    def __getitems__(self, rows: Sequence[int]) -> Sample:
        """A whole batch at once, already stacked (use `collate` with it)."""
        return self.batch(rows)

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height, width of a picture."""
        _, h, w, c = self.pixels.shape
        return c, h, w

    @property
    def unmarked(self) -> Bools | None:
        """Where no spurious signal is, (n, h, w): the object's mask if signals are not known."""
        return self.masks if self.signals is None else ~self.signals

    def batch(self, rows: Rows) -> Sample:
        """The rows as a stacked `Sample`."""
        rows = _rows(rows, len(self))
        return Sample(
            self.normalise(self.pixels[rows]),
            torch.from_numpy(self.labels[rows]),
            torch.from_numpy(self.indices[rows]),
        )

    def masked_batch(self, rows: Rows) -> MaskedSample:
        """The rows as a stacked `MaskedSample`; raises DataError without masks or signals."""
        signal, scene = self.context(rows)
        if signal is None:
            raise DataError("these pictures have neither masks nor signals, which the test needs.")
        return MaskedSample(*self.batch(rows), signal, scene)

    def context(self, rows: Rows) -> tuple[Tensor | None, Tensor | None]:
        """Signals (n, 1, h, w), True on them, and normalised scenes (n, c, h, w), if known."""
        rows, unmarked = _rows(rows, len(self)), self.unmarked
        return (
            None if unmarked is None else torch.from_numpy(~unmarked[rows])[:, None],
            None if self.scenes is None else self.normalise(self.scenes[rows]),
        )

    def normalise(self, pixels: Pixels) -> Tensor:
        """Bytes (n, h, w, c) to normalised floats (n, c, h, w)."""
        x = torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C")).float().div_(255)
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return x.sub_(mean).div_(std)

    def subset(self, rows: Rows) -> "ImageSet":
        """The given rows, in the given order; `indices` still refer to the clean data.

        A slice shares the memory; other rows are copied.
        """
        rows = rows if isinstance(rows, slice) else _rows(rows, len(self))
        per_picture = ("pixels", "labels", "masks", "scenes", "truth", "indices", "signals")
        arrays = {k: getattr(self, k) for k in (*per_picture, "groups")}
        taken: dict[str, Any] = {k: None if v is None else v[rows] for k, v in arrays.items()}
        return replace(self, **taken)

    def fingerprint(self) -> str:
        """A hash of the content: equal for equal pictures, labels, masks and scenes."""
        digest = hashlib.sha256(repr((self.classes, self.mean, self.std)).encode())
        for array in (self.pixels, self.labels, self.masks, self.scenes):
            for part in _parts(array):
                digest.update(part)
        return digest.hexdigest()[:16]

    def _default(self, name: str, value: Labels) -> None:
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)

    def _check(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        array = getattr(self, name)
        if array is not None and (array.shape != shape or array.dtype != dtype):
            raise DataError(
                f"{name} of {shape[0]} pictures {self.pixels.shape[1:]} must be "
                f"{np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}."
            )

    def _check_names(self, name: str, names: Sequence[str], what: str) -> None:
        values, k = getattr(self, name), len(names)
        if len(values) and not 0 <= values.min() <= values.max() < k:
            raise DataError(
                f"{name} range from {values.min()} to {values.max()}, but there are {k} {what} "
                f"(0 to {k - 1}): {', '.join(names)}."
            )


class Splits(NamedTuple):
    """Disjoint pictures for training, validation and test."""

    train: ImageSet
    val: ImageSet
    test: ImageSet


@dataclass(frozen=True, eq=False)
class MaskedView(Dataset[MaskedSample]):
    """Serves an `ImageSet`'s pictures as `MaskedSample`, for probes."""

    images: ImageSet

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> MaskedSample:
        return _first(self.images.masked_batch([i]))

    def __getitems__(self, rows: Sequence[int]) -> MaskedSample:
        """A whole batch at once, already stacked (use `collate` with it)."""
        return self.images.masked_batch(rows)


S = TypeVar("S", Sample, MaskedSample)


def collate(batch: S | list[S]) -> S:
    """For `DataLoader(collate_fn=...)`: passes on batches that `__getitems__` stacked already."""
    if not isinstance(batch, list):
        return batch
    columns: list[Any] = [
        None if column[0] is None else torch.stack(column) for column in zip(*batch, strict=True)
    ]
    return type(batch[0])(*columns)


def _first(batch: MaskedSample) -> MaskedSample:
    columns: list[Any] = [None if column is None else column[0] for column in batch]
    return MaskedSample(*columns)


def _rows(rows: Rows, n: int) -> Labels:
    return np.arange(n)[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)


def _parts(array: npt.NDArray[Any] | None, rows: int = 1024) -> Iterator[bytes]:
    """Shape and content in pieces, so that a broadcast array is never materialised as a whole."""
    if array is None:
        yield b"-"
        return
    yield repr(array.shape).encode()
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()
