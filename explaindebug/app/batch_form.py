"""How somebody's batches look, so that other pictures can be put into such batches."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from explaindebug.callbacks.probe import LABEL_KEYS, checked, unpack
from explaindebug.core.errors import DataError
from explaindebug.data.imageset import Sample

MASK_KEYS = ("mask", "masks")


@dataclass(frozen=True, eq=False)
class BatchForm:
    """Makes batches like `example` from samples; `more` holds its other columns by row.

    By default a batch is a list of images and labels.
    """

    example: Any = None
    image: Any = 0  # the images' key or place
    label: Any = 1
    more: Mapping[Any, Any] = field(default_factory=dict)

    def __call__(self, sample: Sample) -> Any:
        """A batch of the sample's pictures and labels."""
        if self.example is None:
            return [sample.image, sample.label]
        old, values = columns(self.example), dict[Any, Any]()
        for key, value in old.items():
            if key == self.image:
                values[key] = _as_images(sample.image, value)
            elif key == self.label:
                values[key] = _as_labels(sample.label, value)
            elif key in self.more:
                values[key] = _rows(self.more[key], sample.row)
            else:
                values[key] = value
        return _rebuilt(self.example, values)

    @classmethod
    def of(cls, batch: Any) -> "BatchForm":
        """That of a batch.

        Raises:
            DataError: where images and labels can't be found, or there are several images.
        """
        found, parts = unpack(batch), columns(batch)
        (image,) = [key for key, value in parts.items() if value is found.image][:1] or [None]
        labels = [
            key
            for key, value in parts.items()
            if key != image and isinstance(value, Tensor) and _same(found.image, value, found.label)
        ]
        if image is None or not labels:
            raise DataError(f"can't find images and labels among {list(parts)} of a batch.")
        labels.sort(key=lambda key: key not in LABEL_KEYS)
        for key, value in parts.items():
            if key not in (image, *MASK_KEYS) and isinstance(value, Tensor) and value.ndim == 4:
                raise DataError(
                    f"a batch has more than one tensor of images ({image!r} and {key!r}), and "
                    "which of them a bug should change is unknown. Give a data module whose "
                    "batches have one."
                )
        return cls(batch, image, labels[0])

    def with_columns(self, batches: Sequence[Any]) -> "BatchForm":
        """The same with the other columns of all these batches, which are in the rows' order."""
        tables = [columns(batch) for batch in batches]
        more = {}
        for key in tables[0]:
            if key not in (self.image, self.label):
                joined = _joined([(table[key], len(table[self.image])) for table in tables])
                if joined is not None:
                    more[key] = joined
        return dataclasses.replace(self, more=more)


def columns(batch: Any) -> dict[Any, Any]:
    """A batch's parts by key or place.

    Raises:
        DataError: for a batch that has none.
    """
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    if hasattr(batch, "_asdict"):
        return dict(batch._asdict())
    if isinstance(batch, Mapping):
        return dict(batch)
    if isinstance(batch, list | tuple):
        return dict(enumerate(batch))
    raise DataError(f"a batch is a {type(batch).__name__}: a tuple or a mapping is needed.")


def _rebuilt(batch: Any, values: Mapping[Any, Any]) -> Any:
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return dataclasses.replace(batch, **values)
    if hasattr(batch, "_asdict"):
        return type(batch)(**values)
    return dict(values) if isinstance(batch, Mapping) else type(batch)(values.values())


def _same(images: Tensor, value: Tensor, label: Tensor) -> bool:
    try:
        return torch.equal(checked(images, value).label, label)
    except DataError:
        return False


def _as_images(images: Tensor, like: Tensor) -> Tensor:
    return images.to(like.dtype) if like.is_floating_point() else images.round().to(like.dtype)


def _as_labels(labels: Tensor, like: Tensor) -> Tensor:
    """Classes (n,) as the example has them: of its type, in a column, or one-hot."""
    if like.ndim == 2 and like.shape[1] > 1:
        return one_hot(labels, like.shape[1]).to(like.dtype)
    return labels.to(like.dtype).reshape(len(labels), *like.shape[1:])


def _joined(parts: Sequence[tuple[Any, int]]) -> Any:
    """A column of all batches; None where it has not one value per input."""
    values = [value for value, _ in parts]
    if all(isinstance(v, Tensor) and v.ndim and len(v) == n for v, n in parts):
        return torch.cat(values)
    if all(isinstance(v, list | tuple) and len(v) == n for v, n in parts):
        return [one for value in values for one in value]
    return None


def _rows(column: Any, rows: Tensor) -> Any:
    return column[rows] if isinstance(column, Tensor) else [column[row] for row in rows.tolist()]
