"""Batches from pictures in memory, in an order that depends only on the seed and the epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler

from explaindebug.data.imageset import ImageSet, Sample, collate

Augment = Literal["none", "flip", "flip_shift", "flip_turn"]
TURN = 90  # degrees, as in the user study of Adebayo et al. 2020


class EpochShuffle(RandomSampler):
    """A random order for each epoch, independent of the global random state.

    Lightning calls `set_epoch`, so a resumed run continues with the order it would have had. Plain
    loops need not call it: each pass uses the next epoch's order. Being a `RandomSampler`, it is
    recognised as shuffling, so that Lightning's distributed sampler shuffles too.
    """

    def __init__(self, data: Dataset[Any], seed: int) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Use this epoch's order in the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        yield from rng.permutation(len(self)).tolist()


@dataclass(frozen=True, eq=False)
class Augmented(Dataset[Sample]):
    """The pictures, half of them flipped, shifted by up to `shift` pixels (edges are reflected).

    With `turn`, half of them are also flipped upside down, and all are rotated by up to `turn`
    degrees either way, repeating edge pixels.

    Uses torch's random state, which Lightning and the loader seed, also in workers.
    """

    images: ImageSet
    shift: int = 0
    turn: float = 0.0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        return Sample(*(x[0] for x in self.__getitems__([i])))

    def __getitems__(self, rows: Sequence[int]) -> Sample:
        """A whole batch at once, already stacked."""
        sample = self.images.batch(rows)
        image = flipped(sample.image, -1)
        if self.shift:
            image = shifted(image, self.shift)
        if self.turn:
            image = turned(flipped(image, -2), self.turn)
        return sample._replace(image=image)


def flipped(images: Tensor, side: int) -> Tensor:
    """Images (n, c, h, w), about half of them mirrored along one of their sides."""
    flip = torch.rand(len(images)) < 0.5
    return torch.where(flip[:, None, None, None], images.flip(side), images)


def shifted(images: Tensor, most: int) -> Tensor:
    """Images (n, c, h, w), each shifted by up to `most` pixels vertically and horizontally."""
    n, _, h, w = images.shape
    wide = functional.pad(images, (most,) * 4, mode="reflect")
    places = torch.randint(0, 2 * most + 1, (n, 2)).tolist()
    return torch.stack([x[:, y : y + h, z : z + w] for x, (y, z) in zip(wide, places, strict=True)])


def turned(images: Tensor, most: float) -> Tensor:
    """Images (n, c, h, w), each rotated about its centre by up to `most` degrees either way."""
    n, _, h, w = images.shape
    angles = torch.deg2rad(most * (2 * torch.rand(n) - 1))
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros(n)
    turn = torch.stack([cos, -sin * h / w, zero, sin * w / h, cos, zero], 1).view(n, 2, 3)
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def augmented(images: ImageSet, augment: Augment) -> Dataset[Sample]:
    """The training pictures with augmentation.

    `flip_shift` shifts them by up to a tenth of their side, `flip_turn` flips them along both axes
    and rotates them by up to `TURN` degrees.
    """
    if augment == "none":
        return images
    shift = round(images.size[1] / 10) if augment == "flip_shift" else 0
    return Augmented(images, shift, TURN if augment == "flip_turn" else 0)


class Loader(DataLoader[Any]):
    """A `DataLoader` that starts a pass when its first batch is requested.

    Lightning creates the iterator before it sets the epoch, and workers would start at once: a
    resumed training would then repeat the order of the first epoch.
    """

    def __iter__(self) -> Any:
        yield from super().__iter__()


def loader(
    data: Dataset[Any], *, batch_size: int, workers: int = 0, seed: int = 0, shuffle: bool = False
) -> DataLoader[Any]:
    """A loader of stacked batches that leaves the global random state unchanged.

    Workers get their seeds from a private generator. When shuffling, they are restarted for each
    pass: persistent ones would keep the previous pass's random state, which a resumed run lacks.
    """
    return Loader(
        data,
        batch_size=batch_size,
        sampler=EpochShuffle(data, seed) if shuffle else None,
        num_workers=workers,
        persistent_workers=workers > 0 and not shuffle,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(seed),
    )
