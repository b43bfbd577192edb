"""A LightningDataModule of somebody's project, as the data of a debugging test."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as loading
from torch.utils.data import DataLoader, Dataset, IterableDataset

from explaindebug.app.batch_form import MASK_KEYS, BatchForm, columns
from explaindebug.bugs.base import DataBug
from explaindebug.callbacks.probe import unpack
from explaindebug.core.errors import DataError, DataWarning, ExplainDebugError
from explaindebug.core.isolation import private_randomness
from explaindebug.data.imageset import ImageSet, Splits
from explaindebug.data.splits import SPLITS
from explaindebug.datamodules import DebugDataModule
from explaindebug.datamodules.normalising import Normalisation

PLAIN = Normalisation((0.0,), (1.0,))  # floats in [0, 1]
LEVELS = Normalisation((0.0,), (1 / 255,))  # bytes
ALL = (loading.SequentialSampler, loading.RandomSampler, loading.WeightedRandomSampler)
STAGES = {"train": "fit", "val": "fit", "test": "test"}
SLACK = 1.0  # level that a picture may lie beyond 0 to 255: rounding, and resizing of floats


class OwnData(DebugDataModule):
    """The pictures that a LightningDataModule's loaders give, each once and in the data's order.

    They are kept as bytes, so they must be what a normalisation makes of pictures: the one of its
    torchvision transforms, `normalise`, or none where values lie in [0, 1]. Random augmentation is
    drawn once. Masks (True on the object) are taken from a batch's `mask`.

    Args:
        module: gives training, validation and test batches.
        classes: names of labels 0, 1, ...; None for those of the module or its data set, if any.
        options: those of `DebugDataModule`.
    """

    def __init__(self, module: Any, classes: Sequence[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.module = module
        self.names = classes
        self._forms: dict[str, BatchForm] = {}

    @property
    def title(self) -> str:
        """The name of the user's class."""
        return type(self.module).__name__

    def form(self, split: str) -> BatchForm:
        """How its batches look."""
        _ = self.clean
        return self._forms[split]

    def load(self) -> Splits:
        """All pictures; random augmentation is that of the data's seed."""
        with private_randomness(self.seed, torch.device("cpu")):
            batches = {split: self._batches(split) for split in SPLITS}
        for split, some in batches.items():
            self._forms[split] = self._forms[split].with_columns(some)
        found = {split: [unpack(batch) for batch in some] for split, some in batches.items()}
        labels = {split: torch.cat([x.label for x in parts]) for split, parts in found.items()}
        names = self._classes(max(int(label.max()) for label in labels.values()) + 1)
        made = {}
        for split in SPLITS:
            if bool((labels[split] < 0).any()):
                raise DataError(
                    f"{self.title}: some labels of the {split} pictures are no classes, but a "
                    "debugging test needs one class per picture."
                )
            images = torch.cat([x.image for x in found[split]])
            how = self._normalisation(images)
            made[split] = ImageSet(
                self._levels(images, how),
                labels[split].numpy().astype(np.int64),
                names,
                masks=_masks(batches[split], self._forms[split].image),
                mean=how.mean,
                std=how.std,
            )
        return Splits(**made)

    @cached_property
    def _loaders(self) -> Mapping[str, Any]:
        try:
            self.module.prepare_data()
            found = {}
            for split, stage in STAGES.items():
                self.module.setup(stage)
                found[split] = getattr(self.module, f"{split}_dataloader")()
        except ExplainDebugError:
            raise
        except Exception as error:
            raise DataError(
                f"{self.title} gives no {split} pictures ({type(error).__name__}: {error}). Its "
                "prepare_data, setup and train_, val_ and test_dataloader are called without a "
                "Trainer."
            ) from error
        return found

    def _batches(self, split: str) -> list[Any]:
        loader = self._loaders[split]
        if not isinstance(loader, DataLoader):
            raise DataError(
                f"{self.title}.{split}_dataloader gives a {type(loader).__name__}, but one "
                "DataLoader is needed."
            )
        try:
            batches = list(_ordered(loader))
        except Exception as error:
            raise DataError(
                f"{self.title}: the {split} pictures can't be read ({type(error).__name__}: "
                f"{error})."
            ) from error
        if not batches:
            raise DataError(f"{self.title}.{split}_dataloader gives no batch.")
        self._forms[split] = BatchForm.of(batches[0])
        again = next(iter(_ordered(loader)))
        if not torch.equal(unpack(again).image, unpack(batches[0]).image):
            warnings.warn(
                f"{self.title}: the {split} pictures are others each time they are read (random "
                "augmentation). One draw of each is used; data.augment=flip flips them anew in "
                "each epoch.",
                DataWarning,
                stacklevel=2,
            )
        return batches

    def _classes(self, count: int) -> tuple[str, ...]:
        """Names of the classes, as many as there are."""
        holders = [self.module, *_inside(self._loaders["train"].dataset)]
        own = (getattr(holder, "classes", None) for holder in holders)
        for names in (self.names, *own):
            if isinstance(names, list | tuple) and names and len(names) >= count:
                return tuple(map(str, names))
        if self.names is not None:
            raise DataError(
                f"data.classes names {len(self.names)} classes, but labels go up to {count - 1}."
            )
        return tuple(f"class {k}" for k in range(max(2, count)))

    def _normalisation(self, images: Tensor) -> Normalisation:
        """How floats in [0, 1] became these images."""
        if not images.is_floating_point():
            return LEVELS
        if self.normalisation is not None:
            return self.normalisation
        found = _in_transforms(self._loaders["train"].dataset)
        if found is not None:
            return found
        low, high = float(images.min()), float(images.max())
        if low < 0 or high > 1:
            raise DataError(
                f"pictures of {self.title} range from {low:.2f} to {high:.2f}, so they are "
                "normalised, and how can't be seen from its transforms. Say it: "
                "data.normalise=imagenet, or data.normalise='{mean: [0.5], std: [0.25]}'."
            )
        return PLAIN

    def _levels(self, images: Tensor, how: Normalisation) -> Any:
        """Bytes (n, h, w, c) of normalised images (n, c, h, w)."""
        if images.shape[1] not in (1, 3):
            raise DataError(
                f"pictures of {self.title} have {images.shape[1]} channels, but 1 or 3 are needed."
            )
        mean, std = (torch.tensor(x).view(1, -1, 1, 1) for x in (how.mean, how.std))
        levels = 255 * (images.float() * std + mean)
        low, high = float(levels.min()), float(levels.max())
        if low < -SLACK or high > 255 + SLACK:
            raise DataError(
                f"pictures of {self.title} are not those of mean {how.mean} and std {how.std}: "
                f"without these they would range from {low / 255:.2f} to {high / 255:.2f} instead "
                "of 0 to 1. Say how they are normalised: data.normalise='{mean: [...], std: "
                "[...]}'."
            )
        return levels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()

    def _refuse(self, bug: DataBug) -> None:
        try:
            super()._refuse(bug)
        except DataError as error:
            raise DataError(
                f"{error} Give masks as `mask` (n, 1, h, w), True on the object, in the batches of "
                f"{self.title} (with scenes: data=photos), or take a signal that needs none: "
                "bug.spurious.signal=tag."
            ) from error


def _ordered(loader: DataLoader[Any]) -> Iterator[Any]:
    """A loader's batches with each of its rows once, in the data set's order."""
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset):
        yield from loader
        return
    rows: Dataset[Any] = dataset
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    if not isinstance(sampler, ALL):
        rows = loading.Subset(dataset, sorted(set(sampler)))
    size = loader.batch_size or 32
    yield from DataLoader(rows, batch_size=size, collate_fn=loader.collate_fn)


def _masks(batches: Sequence[Any], image: Any) -> Any:
    """Masks (n, h, w), True on the object; None where batches have none."""
    parts = [columns(batch) for batch in batches]
    key = next((key for key in MASK_KEYS if key in parts[0]), None)
    if key is None:
        return None
    found = torch.cat([part[key] for part in parts])
    n, (h, w) = len(found), parts[0][image].shape[-2:]
    if found.numel() != n * h * w:
        raise DataError(f"{key} is {tuple(found.shape)}, but ({n}, 1, {h}, {w}) is needed.")
    return (found.reshape(n, h, w) > 0).numpy()


def _inside(holder: Any, depth: int = 4) -> Iterator[Any]:
    """A data set, those that it wraps, and their transforms, the outermost first."""
    yield holder
    if depth:
        names = ("dataset", "datasets", "transform", "transforms")
        parts = (getattr(holder, name, None) for name in names)
        for part in parts:
            for one in part if isinstance(part, list | tuple) else [part]:
                if one is not None:
                    yield from _inside(one, depth - 1)


def _in_transforms(dataset: Any) -> Normalisation | None:
    """Mean and deviation of the torchvision `Normalize` among a data set's transforms."""
    from torchvision import transforms  # late: it takes a second
    from torchvision.transforms import v2

    kinds: Any = (transforms.Normalize, v2.Normalize)  # type: ignore[attr-defined]
    for found in _inside(dataset):
        if isinstance(found, kinds):
            mean, std = (tuple(map(float, x)) for x in (found.mean, found.std))
            return Normalisation(mean, std)
    return None
