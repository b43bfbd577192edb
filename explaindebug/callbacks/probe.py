"""The inputs to explain: the same ones every time, collected from the batches of an epoch."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from explaindebug.core.errors import DataError
from explaindebug.debugtests.probe import Probe

IMAGE_KEYS = ("image", "images", "img", "imgs", "pixel_values", "x", "input", "inputs")
LABEL_KEYS = ("label", "labels", "y", "target", "targets", "class", "classes", "category")
EXTRAS = ("row", "signal", "scene")  # further fields of this package's samples
CHANNELS = 4  # most channels of images that have them last
SUM_TO_1 = 1e-2  # tolerance of a sum of probabilities, also in half precision
REMEDY = (
    "If the batch has images elsewhere, give the callback unpack=, such as "
    "lambda batch: (batch['views'][0], batch['label'])."
)


Unpack = Callable[[Any], Probe | tuple[Tensor, Tensor]]


def unpack(batch: Any) -> Probe:
    """Images and labels of a batch: a tuple, a mapping, a dataclass or one of our samples.

    In a mapping, they are found by `IMAGE_KEYS` and `LABEL_KEYS`, or else as its only images and
    its only integers (n,). In a tuple, the images come first, or are the only ones.

    Raises:
        DataError: if images (n, c, h, w) or labels (n, ...) can't be identified.
    """
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        batch = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    if hasattr(batch, "_asdict"):
        batch = batch._asdict()
    if isinstance(batch, Mapping):
        more = {name: batch.get(name) for name in EXTRAS}
        rest = {name: value for name, value in batch.items() if name not in EXTRAS}
        image, label = _named(rest, IMAGE_KEYS, _is_image), _named(rest, LABEL_KEYS, _is_classes)
        found = f"among the batch's keys {list(batch)}"
    elif isinstance(batch, Sequence) and not isinstance(batch, str):
        more = {}
        image, label = _placed(batch)
        found = f"in a batch of {len(batch)} {', '.join(type(x).__name__ for x in batch)}"[:120]
    else:
        image = label = None
        found = f"in a batch of type {type(batch).__name__}"
    if image is None or label is None:
        raise DataError(f"can't find images and labels {found}. {REMEDY}")
    return checked(image, label, **more)


def _named(batch: Mapping[Any, Any], names: Sequence[str], fits: Callable[[Any], bool]) -> Any:
    """A fitting value with a known name, else the only fitting one, else one with a known name."""
    known = [batch[name] for name in names if name in batch]
    named = [value for value in known if fits(value)]
    fitting = [value for value in batch.values() if fits(value)]
    if named or len(fitting) == 1:
        return (named or fitting)[0]
    return known[0] if known else None


def _placed(batch: Sequence[Any]) -> tuple[Any, Any]:
    """Images: the first element or the only images. Labels: the only integers (n,) or the next."""
    images = [i for i, x in enumerate(batch) if _is_image(x)]
    if len(batch) < 2 or (len(images) > 1 and images[0] > 0):
        return None, None
    place = images[0] if images else 0
    others = [x for i, x in enumerate(batch) if i != place]
    classes = [x for x in others if _is_classes(x)]
    return batch[place], classes[0] if len(classes) == 1 else others[0]


def _is_image(x: Any) -> bool:
    numbers = isinstance(x, Tensor) and not x.is_complex() and x.dtype != torch.bool
    return numbers and x.ndim == 4


def _is_classes(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 1 and x.dtype in (torch.int32, torch.int64)


def checked(
    image: Any,
    label: Any,
    row: Tensor | None = None,
    signal: Tensor | None = None,
    scene: Tensor | None = None,
) -> Probe:
    """A probe of these inputs.

    Raises:
        DataError: if images are not (n, c, h, w), or there are not as many labels.
    """
    if not _is_image(image):
        found = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image)
        raise DataError(f"only images (n, c, h, w) can be explained, got {found}. {REMEDY}")
    if image.shape[3] <= CHANNELS < min(image.shape[1:3]):
        raise DataError(
            f"images {tuple(image.shape)} have their channels last, but a map is (c, h, w). Give "
            "the callback unpack= that returns (n, c, h, w), and with forward= the submodule that "
            "takes these."
        )
    if not isinstance(label, Tensor) or label.shape[:1] != image.shape[:1]:
        raise DataError(f"{len(image)} images need as many labels, got {label!r:.80}. {REMEDY}")
    if row is None:
        row = torch.full((len(image),), -1)
    shape = (len(image), 1, *image.shape[-2:])
    if signal is not None and (signal.dtype != torch.bool or signal.shape != shape):
        raise DataError(
            f"signal must be torch.bool {shape}, True where the spurious signal is, got "
            f"{signal.dtype} {tuple(signal.shape)}."
        )
    return Probe(image, _classes(label), row, signal, scene)


def _classes(label: Tensor) -> Tensor:
    """Labels as classes (n,); -1 for labels that are not a single class.

    Many projects have binary labels as floats, or mixed labels (mixup) as (n, k) that sum to 1.
    Regression targets, multi-label targets and segmentation maps are not classes: if one label of
    such a type in a batch is not a class, none is.
    """
    table = label.float().reshape(len(label), -1)
    if table.shape[1] > 1:
        found = table.argmax(1)
        valid = ((table.sum(1) - 1).abs() < SUM_TO_1) & (table >= 0).all(1)
    else:
        found = table[:, 0].long()
        valid = (found == table[:, 0]) & (found >= 0)
    if table.shape[1] > 1 or label.is_floating_point():
        valid = valid & valid.all()
    return torch.where(valid, found, -1)


class Collector:
    """Collects the first `count` inputs of a data set from this process's batches.

    With a distributed sampler, the k-th input of a rank is input `k * world + rank` of the data
    set. No loader is iterated for this, as that would advance the global random state and so change
    the training.
    """

    def __init__(self, count: int, unpack: Unpack) -> None:
        self.count = count
        self.unpack = unpack
        self.clear()

    def clear(self) -> None:
        """Start over with the first batch."""
        self._parts: list[Probe] = []
        self._places: list[Tensor] = []
        self._seen = 0
        self._closed = False

    def add(self, batch: Any, *, rank: int, world: int, length: int | None) -> None:
        """Add the inputs of a batch that belong to the probe; `length`: size of the data set."""
        if self._closed:
            return
        found = self.unpack(batch)
        part = found if isinstance(found, Probe) else checked(*found[:2])
        places = (self._seen + torch.arange(len(part.image))) * world + rank
        self._seen += len(part.image)
        keep = places < min(self.count, length if length is not None else self.count)
        if bool((part.row < 0).any()):
            part = part._replace(row=places)
        part = part.map(lambda x: x.detach().cpu()).select(keep)
        if part.image.is_floating_point():  # in any precision, as maps are computed in float32
            part = part._replace(image=part.image.float())
        if len(part.image):
            with torch.inference_mode(False):
                self._parts.append(part.map(torch.clone))
            self._places.append(places[keep])
        if int(places[-1]) + world >= self.count:
            self._closed = True

    @property
    def share(self) -> "Share | None":
        """The part of the probe that this process has seen, on the CPU; None if it is empty."""
        if not self._parts:
            return None
        return Share(torch.cat(self._places), _stacked(self._parts))


class Share(NamedTuple):
    """A part of the probe, and the positions of its inputs in the data set."""

    places: Tensor  # (n,)
    probe: Probe


def joined(shares: Sequence[Share | None]) -> Probe:
    """The probe of all processes, in the data set's order.

    Raises:
        DataError: if no process has seen an input.
    """
    parts = [share for share in shares if share is not None]
    if not parts:
        raise DataError("the data has no batch, so there is nothing to explain.")
    order = torch.argsort(torch.cat([share.places for share in parts]))
    return _stacked([share.probe for share in parts]).select(order)


def _stacked(parts: Sequence[Probe]) -> Probe:
    columns = zip(*parts, strict=True)
    return Probe(*(None if c[0] is None else torch.cat(c) for c in columns))  # type: ignore[arg-type]


def length(trainer: Any) -> int | None:
    """Size of the first data set of the current loop; None if unknown."""
    loaders: Any = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    if trainer.training:
        loaders = trainer.train_dataloader
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    loader = loaders[0] if isinstance(loaders, list | tuple) and loaders else loaders
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return None
