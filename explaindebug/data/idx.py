"""MNIST and its kin: grey pictures of things on black."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from explaindebug.data.idxfiles import load_idx
from explaindebug.data.imageset import ImageSet, Labels, Pixels, Splits
from explaindebug.data.splitting import Amount, counts, cut, stratified
from explaindebug.errors import ConfigError


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
    called t10k.

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
            pictures; the message names the file.
    """
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels}: 1 for grey, 3 for the same in three channels.")
    places = [Path(root) / folder for folder in folders]

    def some(stem: str, amounts: dict[str, Amount]) -> tuple[ImageSet, list[int]]:
        images, labels = load_idx(places, stem)
        ImageSet(images[..., None], labels, tuple(classes))  # are all labels within the classes?
        sizes = counts(amounts, labels, classes)
        rows = np.concatenate(stratified(labels, sizes, seed))
        pictures = _resized(images[rows], size)
        return _on_black(pictures, labels[rows], tuple(classes), channels, threshold), sizes

    fit, sizes = some("train", {"train": train, "val": val})
    held_out, _ = some("t10k", {"test": test})
    train_set, val_set = cut(fit, sizes)
    return Splits(train_set, val_set, held_out)


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
