"""The inputs that a command line names: `folder:/photos`, or `my_project:PetsData`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset

from explaindebug.app.checked_model import called, made_by
from explaindebug.callbacks.probe import unpack
from explaindebug.core.errors import ConfigError, DataError, ExplainDebugError
from explaindebug.data.image_files import read_picture
from explaindebug.data.masks import read_mask
from explaindebug.datamodules.normalising import Normalisation

FOLDER = "folder"
SUFFIXES = frozenset(Image.registered_extensions())
SPLITS = ("test", "val")  # the first that a data module has


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs to check a network on."""

    images: Tensor  # (n, c, h, w), normalised
    labels: Tensor | None = None  # (n,)
    masks: Tensor | None = None  # (n, 1, h, w) bool, True on the object
    how: Normalisation | None = None  # how pictures in [0, 1] became the images, if known
    names: tuple[str, ...] = ()  # (n,) of the files, if there are any

    def picture(self, image: Tensor) -> Tensor:
        """A normalised image (c, h, w) as it was, in [0, 1]."""
        assert self.how is not None
        mean, std = (image.new_tensor(v).view(-1, 1, 1) for v in (self.how.mean, self.how.std))
        return (image * std + mean).clamp(0, 1)


def from_folder(
    root: Path,
    count: int,
    *,
    size: int,
    crop: float | None,
    how: Normalisation,
    masks: Path | None = None,
    seed: int = 0,
) -> Inputs:
    """`count` pictures from a folder and those below it, drawn by `seed`.

    `masks` is a folder with a mask for each picture, at the same place under the same name, except
    for the extension.

    Raises:
        DataError: if there are too few pictures, or a mask is missing; names the files.
    """
    if not root.is_dir():
        raise DataError(f"--data {FOLDER}:{root}: there is no such folder ({root.resolve()}).")
    inside = None if masks is None else masks.resolve()
    found = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and not (inside and path.resolve().is_relative_to(inside))
    )
    if len(found) < 2:
        raise DataError(f"--data {FOLDER}:{root} holds {len(found)} pictures; a dozen are needed.")
    order = np.random.default_rng(seed).permutation(len(found))[:count]
    chosen = [found[k] for k in np.sort(order)]
    pixels = np.stack([read_picture(path, size, crop)[0] for path in chosen])
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (how.mean, how.std))
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    objects = None
    if masks is not None:
        files = [_mask(masks, path.relative_to(root)) for path in chosen]
        read = [read_mask(file, size, "binary", False, crop)[0] for file in files]
        objects = torch.from_numpy(np.stack(read))[:, None]
    names = tuple(str(path.relative_to(root)) for path in chosen)
    return Inputs(images.contiguous(), masks=objects, how=how, names=names)


def from_module(spec: str, arguments: Mapping[str, Any], count: int) -> Inputs:
    """`count` inputs, evenly spread over the test data of a LightningDataModule, or its validation.

    Raises:
        ConfigError: if it can't be imported or made.
        DataError: if it gives no images.
    """
    module = called(made_by(spec, "--data"), spec, arguments, "--data-arg")
    loader = _loader(module, spec)
    try:
        parts = [unpack(batch) for batch in _batches(loader, count)]
    except ExplainDebugError:
        raise
    except Exception as error:
        raise DataError(
            f"--data {spec}: its batches can't be read ({type(error).__name__}: {error})."
        ) from error
    if not parts:
        raise DataError(f"--data {spec} gives no batch.")
    images = torch.cat([part.image for part in parts])[:count].float()
    labels = torch.cat([part.label for part in parts])[:count]
    signals = [part.signal for part in parts if part.signal is not None]
    masks = ~torch.cat(signals)[:count] if len(signals) == len(parts) else None
    return Inputs(images, None if bool((labels < 0).any()) else labels, masks)


def _mask(masks: Path, name: Path) -> Path:
    """The mask of a picture, with any extension."""
    folder = (masks / name).parent
    found = [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if path.stem == name.stem and path.suffix.lower() in SUFFIXES
    ]
    if len(found) != 1:
        raise DataError(f"--masks {masks}: {len(found)} masks for {name}, but it needs one.")
    return found[0]


def _loader(module: Any, spec: str) -> DataLoader[Any]:
    """The first data loader of a data module, see `SPLITS`."""
    made = [split for split in SPLITS if hasattr(module, f"{split}_dataloader")]
    if not made:
        raise ConfigError(
            f"--data {spec} gives a {type(module).__name__}, but a LightningDataModule with a "
            "test_dataloader or val_dataloader is needed, or folder:PATH."
        )
    failures = []
    for split in made:
        try:
            if hasattr(module, "prepare_data"):
                module.prepare_data()
            if hasattr(module, "setup"):
                module.setup({"test": "test", "val": "validate"}[split])
            loader = getattr(module, f"{split}_dataloader")()
        except ExplainDebugError:
            raise
        except Exception as error:
            failures.append(f"{split} ({type(error).__name__}: {error})")
            continue
        loader = loader[0] if isinstance(loader, list | tuple) and loader else loader
        if isinstance(loader, DataLoader):
            return loader
        failures.append(f"{split} (a {type(loader).__name__}, not a DataLoader)")
    raise DataError(f"--data {spec} gives no data: {'; '.join(failures)}.")


def _batches(loader: DataLoader[Any], count: int) -> Iterator[Any]:
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset):
        seen = 0
        for batch in loader:
            yield batch
            seen += len(unpack(batch).image)
            if seen >= count:
                return
        return
    total = len(dataset)  # type: ignore[arg-type]
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)).tolist()
    yield from DataLoader(Subset(dataset, rows), batch_size=32, collate_fn=loader.collate_fn)
