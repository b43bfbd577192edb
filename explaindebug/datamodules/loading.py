"""Batches from pictures in memory, in an order that depends on the seed and the epoch alone."""

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
    """A random order for each epoch, the same whatever was drawn or run before.

    Lightning calls `set_epoch`, so a run that is continued goes on with the order it would have
    had. A plain loop may leave that: each pass takes the next epoch's order. As a `RandomSampler`
    it is seen as shuffling, so that Lightning's distributed sampler shuffles too.
    """

    def __init__(self, data: Dataset[Any], seed: int) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The next pass takes this epoch's order."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        yield from rng.permutation(len(self)).tolist()


@dataclass(frozen=True, eq=False)
class Augmented(Dataset[Sample]):
    """The pictures, half of them flipped, moved by up to `shift` pixels each way (mirrored edge).

    With `turn` half of them are also flipped upside down, and all turned by up to so many degrees
    either way; beyond the edge, the pixel at the edge is repeated.

    Draws from torch's random state, which Lightning and the loader seed, also in workers.
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
    """Images (n, c, h, w), each moved by up to `most` pixels down and right, or up and left."""
    n, _, h, w = images.shape
    wide = functional.pad(images, (most,) * 4, mode="reflect")
    places = torch.randint(0, 2 * most + 1, (n, 2)).tolist()
    return torch.stack([x[:, y : y + h, z : z + w] for x, (y, z) in zip(wide, places, strict=True)])


def turned(images: Tensor, most: float) -> Tensor:
    """Images (n, c, h, w), each turned about its centre by up to `most` degrees either way."""
    n, _, h, w = images.shape
    angles = torch.deg2rad(most * (2 * torch.rand(n) - 1))
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros(n)
    turn = torch.stack([cos, -sin * h / w, zero, sin * w / h, cos, zero], 1).view(n, 2, 3)
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def augmented(images: ImageSet, augment: Augment) -> Dataset[Sample]:
    """The pictures to train on.

    `flip_shift` moves them by up to a tenth of their side, `flip_turn` flips them both ways and
    turns them by up to `TURN` degrees.
    """
    if augment == "none":
        return images
    shift = round(images.size[1] / 10) if augment == "flip_shift" else 0
    return Augmented(images, shift, TURN if augment == "flip_turn" else 0)


class Loader(DataLoader[Any]):
    """A `DataLoader` that begins a pass with its first batch, and not when an iterator is made.

    Lightning makes one before it says which epoch it is, and workers would begin at once: a
    continued training then repeats the order of the first epoch.
    """

    def __iter__(self) -> Any:
        yield from super().__iter__()


def loader(
    data: Dataset[Any], *, batch_size: int, workers: int = 0, seed: int = 0, shuffle: bool = False
) -> DataLoader[Any]:
    """Stacked batches; neither making nor iterating it moves the global random state.

    Workers get their seeds from a private generator. Those that shuffle are started for each pass:
    ones that stay would keep the random state of the pass before, which a continued run lacks.
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
