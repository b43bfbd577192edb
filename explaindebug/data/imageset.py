"""Pictures in memory, with what is known about them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from explaindebug.errors import DataError

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Sample(NamedTuple):
    """What a model is trained on; a batch of it holds the same fields, stacked."""

    image: Tensor  # (c, h, w) float32, normalised
    label: Tensor  # () int64, what the model is told
    row: Tensor  # () int64, place in the clean data of this split


class MaskedSample(NamedTuple):
    """A probe item: what the spurious test needs to know beside the picture."""

    image: Tensor  # (c, h, w) float32, normalised
    label: Tensor  # () int64
    row: Tensor  # () int64
    mask: Tensor  # (1, h, w) bool, True on the object
    scene: Tensor  # (c, h, w) the same picture without its object, normalised


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[Sample]):
    """Pictures in memory as bytes, served as normalised floats.

    `labels` is what a model is told, `truth` what is right; they differ where a bug flipped them.
    `scenes` holds each picture without its object, where that is known. A bug never changes an
    `ImageSet`: it makes another one.

    Raises:
        DataError: where the arrays' shapes don't fit, or a label lies outside the classes.
    """

    pixels: Pixels  # (n, h, w, c), c = 1 or 3
    labels: Labels  # (n,)
    classes: tuple[str, ...]
    masks: Bools | None = None  # (n, h, w), True on the object
    scenes: Pixels | None = None  # (n, h, w, c)
    truth: Labels = field(default=None)  # type: ignore[assignment]  # (n,), labels where not given
    indices: Labels = field(default=None)  # type: ignore[assignment]  # (n,), 0..n-1 where not given
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)

    def __post_init__(self) -> None:
        n = len(self.pixels)
        if self.truth is None:
            object.__setattr__(self, "truth", self.labels)
        if self.indices is None:
            object.__setattr__(self, "indices", np.arange(n))
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8:
            raise DataError(
                f"pictures must be uint8 (n, h, w, c), got {self.pixels.dtype} {self.pixels.shape}."
            )
        for name in ("labels", "truth", "indices", "masks", "scenes"):
            array = getattr(self, name)
            if array is not None and len(array) != n:
                raise DataError(f"{n} pictures but {len(array)} {name}: one of each is needed.")
        if n and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, but there are "
                f"{len(self.classes)} classes (0 to {len(self.classes) - 1}): {self.classes}."
            )

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

    def batch(self, rows: Sequence[int] | slice) -> Sample:
        """The rows as a stacked `Sample`."""
        rows = _rows(rows, len(self))
        return Sample(
            self.normalise(self.pixels[rows]),
            torch.from_numpy(self.labels[rows]),
            torch.from_numpy(self.indices[rows]),
        )

    def masked_batch(self, rows: Sequence[int] | slice) -> MaskedSample:
        """The rows as a stacked `MaskedSample`; raises DataError without masks and scenes."""
        if self.masks is None or self.scenes is None:
            raise DataError("these pictures have no masks and scenes, which the test needs.")
        rows = _rows(rows, len(self))
        return MaskedSample(
            *self.batch(rows),
            torch.from_numpy(self.masks[rows])[:, None],
            self.normalise(self.scenes[rows]),
        )

    def normalise(self, pixels: Pixels) -> Tensor:
        """Bytes (n, h, w, c) to normalised floats (n, c, h, w)."""
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float().div_(255)
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return x.sub_(mean).div_(std)

    def subset(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "ImageSet":
        """The given rows, in the given order; `indices` still point into the clean data."""
        rows = np.asarray(rows, dtype=np.int64)
        per_picture = ("pixels", "labels", "masks", "scenes", "truth", "indices")
        arrays = {k: getattr(self, k) for k in per_picture}
        return replace(self, **{k: None if v is None else v[rows] for k, v in arrays.items()})

    def fingerprint(self) -> str:
        """A short name of the content: equal for equal pictures, labels, masks and scenes."""
        digest = hashlib.sha256(repr((self.classes, self.mean, self.std)).encode())
        for array in (self.pixels, self.labels, self.masks, self.scenes):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


class Splits(NamedTuple):
    """Disjoint pictures to train on, to choose by, and to measure on."""

    train: ImageSet
    val: ImageSet
    test: ImageSet


def collate(batch: Sample | list[Sample]) -> Sample:
    """For `DataLoader(collate_fn=...)`: passes on what `ImageSet.__getitems__` already stacked."""
    if isinstance(batch, Sample):
        return batch
    return Sample(*(torch.stack(column) for column in zip(*batch, strict=True)))


def _rows(rows: Sequence[int] | slice, n: int) -> npt.NDArray[np.int64]:
    return np.arange(n)[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
