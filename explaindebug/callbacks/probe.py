"""The inputs that are explained: the same ones every time, taken from batches as they pass by."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from explaindebug.debugtests.probe import Probe
from explaindebug.errors import DataError

IMAGE_KEYS = ("image", "images", "pixel_values", "x", "input", "inputs")
LABEL_KEYS = ("label", "labels", "y", "target", "targets")


Unpack = Callable[[Any], Probe | tuple[Tensor, Tensor]]


def unpack(batch: Any) -> Probe:
    """A batch as `Probe`: a tuple (images, labels, ...), a mapping, a dataclass or our samples.

    Raises:
        DataError: where no images (n, c, h, w) or labels (n,) are found.
    """
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        batch = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    if hasattr(batch, "_asdict"):
        batch = batch._asdict()
    if isinstance(batch, Mapping):
        return _from_mapping(batch)
    if isinstance(batch, Sequence) and len(batch) >= 2:
        return _probe(batch[0], batch[1])
    raise DataError(
        f"can't find images and labels in a batch of type {type(batch).__name__}. "
        "Give the callback unpack=: a function from your batch to (images, labels)."
    )


def _from_mapping(batch: Mapping[str, Any]) -> Probe:
    image = next((batch[k] for k in IMAGE_KEYS if k in batch), None)
    label = next((batch[k] for k in LABEL_KEYS if k in batch), None)
    if image is None or label is None:
        raise DataError(
            f"can't find images and labels among the batch's keys {list(batch)}. Give the callback "
            "unpack=: a function from your batch to (images, labels)."
        )
    return _probe(image, label, batch.get("row"), batch.get("mask"), batch.get("scene"))


def _probe(
    image: Any,
    label: Any,
    row: Tensor | None = None,
    mask: Tensor | None = None,
    scene: Tensor | None = None,
) -> Probe:
    if not isinstance(image, Tensor) or image.ndim != 4 or not image.is_floating_point():
        found = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image)
        raise DataError(f"images must be float tensors (n, c, h, w), got {found}.")
    if not isinstance(label, Tensor) or label.shape[:1] != image.shape[:1]:
        raise DataError(f"{len(image)} images need as many labels, got {label!r:.80}.")
    if row is None:
        row = torch.full((len(image),), -1)
    return Probe(image, _classes(label), row, mask, scene)


def _classes(label: Tensor) -> Tensor:
    """Labels as classes (n,): binary ones are floats in many projects, mixed ones (n, k)."""
    label = label.flatten(1) if label.ndim > 1 else label[:, None]
    return label.argmax(1) if label.shape[1] > 1 else label[:, 0].long()


class Collector:
    """Gathers the first `count` inputs of a data set from this process' share of the batches.

    A distributed sampler deals input `k * world + rank` to the rank as its k-th. Nobody's loader is
    iterated for this: that alone would move the global random state and so change the training.
    """

    def __init__(self, count: int, unpack: Unpack) -> None:
        self.count = count
        self.unpack = unpack
        self.clear()

    def clear(self) -> None:
        """Begin again with the first batch."""
        self._parts: list[Probe] = []
        self._places: list[Tensor] = []
        self._seen = 0
        self._closed = False

    def add(self, batch: Any, *, rank: int, world: int, length: int | None) -> None:
        """Take from a batch what belongs to the probe; `length` is the data set's, where known."""
        if self._closed:
            return
        found = self.unpack(batch)
        part = found if isinstance(found, Probe) else _probe(*found[:2])
        places = (self._seen + torch.arange(len(part.image))) * world + rank
        self._seen += len(part.image)
        keep = places < min(self.count, length if length is not None else self.count)
        if bool((part.row < 0).any()):
            part = part._replace(row=places)
        part = part.map(lambda x: x.detach().cpu()).select(keep)
        if len(part.image):
            with torch.inference_mode(False):
                self._parts.append(part.map(torch.clone))
            self._places.append(places[keep])
        if int(places[-1]) + world >= self.count:
            self._closed = True

    @property
    def share(self) -> "Share | None":
        """What this process has seen of the probe, on the CPU; None where it has seen nothing."""
        if not self._parts:
            return None
        return Share(torch.cat(self._places), _stacked(self._parts))


class Share(NamedTuple):
    """A part of the probe, and the places of its inputs in the whole."""

    places: Tensor  # (n,)
    probe: Probe


def joined(shares: Sequence[Share | None]) -> Probe:
    """The probe of all processes, in the data set's order.

    Raises:
        DataError: where no process has seen an input.
    """
    parts = [share for share in shares if share is not None]
    if not parts:
        raise DataError("the validation data gave no batch, so there is nothing to explain.")
    order = torch.argsort(torch.cat([share.places for share in parts]))
    return _stacked([share.probe for share in parts]).select(order)


def _stacked(parts: Sequence[Probe]) -> Probe:
    columns = zip(*parts, strict=True)
    return Probe(*(None if c[0] is None else torch.cat(c) for c in columns))  # type: ignore[arg-type]


def length(trainer: Any) -> int | None:
    """How many inputs there are in the first data set that is being validated, where known."""
    loaders: Any = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    loader = loaders[0] if isinstance(loaders, list | tuple) and loaders else loaders
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return None
