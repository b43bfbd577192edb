"""MNIST and its kin: grey pictures of things on black."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from explaindebug.core.errors import ConfigError, DataWarning
from explaindebug.data.idxfiles import load_idx
from explaindebug.data.imageset import ImageSet, Labels, Pixels, Splits
from explaindebug.data.memory import check_memory
from explaindebug.data.splits import Amount, cut, drawn

Arrays = tuple[Pixels, Labels]


def idx(
    root: str | Path,
    classes: Sequence[str],
    *,
    folders: Sequence[str] = (".", "raw"),
    size: int = 28,
    channels: int = 1,
    train: Amount = None,
    val: Amount = 0.1,
    test: Amount = None,
    threshold: int = 25,
    seed: int = 0,
) -> Splits:
    """Grey pictures of things on black, with masks (brighter than the threshold) and black scenes.

    Training and validation pictures come from the files called train, test pictures from those
    called t10k. Of pictures that are equal in every pixel one is kept, of the test files first.

    Args:
        root: the folder with the data.
        classes: the names of labels 0, 1, ...
        folders: where the files may be, below the root; the first that has them is taken.
        size: height and width in pixels; interpolated where the files have another.
        channels: 1, or 3 equal ones.
        train: how many pictures, a count or a share of their files; None for the rest.
        val: pictures to choose by, from the training files.
        test: pictures to measure on, from the test files.
        threshold: a pixel belongs to the thing where it is brighter (0 to 255).
        seed: of the choice of pictures and of the split.

    Raises:
        ConfigError: for options that can't be.
        DataError: missing, corrupt or truncated files, labels outside the classes, too few
            pictures, more than fits into memory; the message names the file.
    """
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels}: 1 for grey, 3 for the same in three channels.")
    places = [Path(root) / folder for folder in folders]

    def loaded(stem: str) -> Arrays:
        images, labels = load_idx(places, stem)
        ImageSet(images[..., None], labels, tuple(classes))  # are all labels within the classes?
        return images, labels

    def some(kept: Labels, file: Arrays, amounts: dict[str, Amount]) -> tuple[ImageSet, list[int]]:
        images, labels = file
        parts = drawn(amounts, labels[kept], classes, seed)
        rows = kept[np.concatenate(parts)]
        check_memory(
            len(rows) * size**2,
            f"{len(rows)} pictures of {size} x {size} pixels",
            "Choose a smaller size or fewer pictures.",
        )
        pictures = _resized(images[rows], size)
        made = _on_black(pictures, labels[rows], tuple(classes), channels, threshold)
        return made, [len(part) for part in parts]

    training, testing = loaded("train"), loaded("t10k")
    kept_test, kept_train = _once([testing, training])
    fit, sizes = some(kept_train, training, {"train": train, "val": val})
    held_out, _ = some(kept_test, testing, {"test": test})
    train_set, val_set = cut(fit, sizes)
    return Splits(train_set, val_set, held_out)


def _once(files: Sequence[Arrays]) -> list[Labels]:
    """The rows of each file whose picture is not in an earlier row or file.

    A picture that has two labels is left out everywhere. A DataWarning says how many are.
    """
    first: dict[bytes, tuple[int, int]] = {}
    left_out: set[tuple[int, int]] = set()
    for number, (images, labels) in enumerate(files):
        for row, image in enumerate(images):
            at, place = (number, row), first.setdefault(image.tobytes(), (number, row))
            if place != at:
                left_out.add(at)
                if files[place[0]][1][place[1]] != labels[row]:
                    left_out.add(place)
    if left_out:
        total = sum(len(labels) for _, labels in files)
        warnings.warn(
            f"{len(left_out)} of {total} pictures are left out: copies of others, which would "
            "count twice, and pictures with two labels.",
            DataWarning,
            stacklevel=3,
        )
    return [
        np.array([row for row in range(len(labels)) if (number, row) not in left_out], np.int64)
        for number, (_, labels) in enumerate(files)
    ]


def _resized(images: Pixels, size: int) -> Pixels:
    """Grey pictures (n, size, size), antialiased."""
    if images.shape[1:] == (size, size):
        return images
    x = torch.from_numpy(images.copy())[:, None]
    x = functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    resized: Pixels = x[:, 0].numpy()
    return resized


def _on_black(
    images: Pixels, labels: Labels, classes: tuple[str, ...], channels: int, threshold: int
) -> ImageSet:
    shape = (*images.shape, channels)
    return ImageSet(
        np.broadcast_to(images[..., None], shape),  # views: three channels cost no memory
        labels,
        classes,
        masks=np.greater(images, threshold),
        scenes=np.broadcast_to(np.uint8(0), shape),
    )
