"""Segmented photographs from folders, decoded to bytes in memory."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explaindebug.data.files import ClassFiles
from explaindebug.data.imageset import Bools, ImageSet, Pixels, Splits
from explaindebug.data.masks import CONVENTIONS, Mask
from explaindebug.data.reading import read_picture
from explaindebug.data.splitting import Amount, counts, cut, stratified, thin
from explaindebug.errors import ConfigError, DataError

Progress = Callable[[int, int], object]  # (pictures done, pictures in all)


@dataclass(frozen=True)
class Photo:
    """One picture of a class: its file, and where its object is."""

    image: Path
    mask: Mask | None
    label: int
    held_out: bool = False  # belongs to the test pictures, where the data set says which do

    def read(self, size: int, crop: float | None = None) -> tuple[Pixels, Bools | None]:
        """Picture (size, size, 3) and mask (size, size); raises DataError, naming the file."""
        pixels, full = read_picture(self.image, size, crop)
        if self.mask is None:
            return pixels, None
        mask, mask_full = self.mask(size, full, crop)
        if mask_full != full:
            raise DataError(
                f"{self.mask.path} is {mask_full[0]} x {mask_full[1]} pixels, but its picture "
                f"{self.image} is {full[0]} x {full[1]}. Make them the same size."
            )
        return pixels, mask


def photos(
    classes: Mapping[str, Any],
    *,
    root: str | Path = ".",
    size: int = 112,
    train: Amount = 0.7,
    val: Amount = 0.1,
    test: Amount = 0.2,
    limit: int | None = None,
    balance: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Splits:
    """Photographs of several classes, split, square, in colour, with masks where there are any.

    Every file is opened before this returns, so whatever is wrong with one is known before any
    training. Pictures are squeezed to the size, not cropped, and taken as stored (a rotation in
    EXIF is not applied).

    Args:
        classes: by class name, the fields of a `ClassFiles` (patterns below the root).
        root: the folder that the patterns start in.
        size: height and width in pixels.
        train: how many pictures, a count or a share of all; None for the rest. So `val` and `test`.
        val: pictures to choose by.
        test: pictures to measure on.
        limit: the most pictures that any class may have.
        balance: every class gets as many pictures as the smallest has.
        seed: of the choice of pictures and of the split.
        progress: is called with (pictures done, pictures in all).

    Raises:
        ConfigError: for options that can't be.
        DataError: missing or empty folder, corrupt picture, picture without mask, mask of another
            size or without object, too few pictures; the message names the file.
    """
    names, amounts = tuple(classes), {"train": train, "val": val, "test": test}
    parts = shuffled(listing(classes, root), names, amounts, limit, balance, seed)
    return decoded(parts, names, size, progress=progress)


def shuffled(
    found: Sequence[Photo],
    classes: Sequence[str],
    amounts: Mapping[str, Amount],
    limit: int | None = None,
    balance: bool = False,
    seed: int = 0,
    *,
    every_class: bool = True,
) -> list[list[Photo]]:
    """Disjoint splits of these amounts, drawn at random, the classes in proportion.

    Raises:
        ConfigError: for amounts that can't be.
        DataError: where there are too few pictures.
    """
    labels = np.array([photo.label for photo in found])
    kept = thin(labels, limit, balance, seed)
    sizes = counts(amounts, labels[kept], classes, every_class=every_class)
    return [[found[kept[row]] for row in rows] for rows in stratified(labels[kept], sizes, seed)]


def decoded(
    parts: Sequence[Sequence[Photo]],
    classes: Sequence[str],
    size: int,
    crop: float | None = None,
    progress: Progress | None = None,
) -> Splits:
    """The photographs of three splits, read; with `crop` what `reading.window` says of them.

    Raises:
        ConfigError: for a size below 8.
        DataError: for a corrupt file, a mask of another size, masks without a background.
    """
    if size < 8:
        raise ConfigError(f"size={size}: pictures of at least 8 x 8 pixels are needed.")
    chosen = [photo for part in parts for photo in part]
    pixels, masks = _read_all(chosen, size, crop, progress)
    _check_backgrounds(masks, chosen)
    labels = np.array([photo.label for photo in chosen], dtype=np.int64)
    together = ImageSet(pixels, labels, tuple(classes), masks)
    return Splits(*cut(together, [len(part) for part in parts]))


def listing(classes: Mapping[str, Any], root: str | Path) -> list[Photo]:
    """All pictures with their masks' files, class by class, in the order of their paths.

    Raises:
        ConfigError: for fewer than two classes, or masks for some classes only.
        DataError: missing or empty folder, picture without mask.
    """
    specs = {str(name): ClassFiles.of(str(name), spec) for name, spec in classes.items()}
    if len(specs) < 2:
        raise ConfigError(f"two or more classes are needed to tell apart, got {list(specs)}.")
    bare = [name for name, files in specs.items() if files.masks is None]
    if 0 < len(bare) < len(specs):
        raise ConfigError(
            f"no masks given for class {', '.join(bare)}, but for the others: give a `masks` "
            "pattern for every class, or for none."
        )
    return [
        Photo(image, files.mask(mask), label)
        for label, (name, files) in enumerate(specs.items())
        for image, mask in files.pairs(Path(root), name)
    ]


def _check_backgrounds(masks: Bools | None, photos: Sequence[Photo]) -> None:
    """Refuse a class with no background anywhere; one close-up or another may fill its picture."""
    for label in {photo.label for photo in photos if masks is not None}:
        here = [i for i, photo in enumerate(photos) if photo.label == label]
        photo = photos[here[0]]
        if masks is not None and photo.mask is not None and masks[here].all():
            raise DataError(
                f"all masks of a class mark everything as object, {photo.mask.path} for one, read "
                f"as {photo.mask.read_as}. Is that the right convention? Known: "
                f"{', '.join(CONVENTIONS)}."
            )


def _read_all(
    photos: Sequence[Photo], size: int, crop: float | None, progress: Progress | None
) -> tuple[Pixels, Bools | None]:
    pixels = np.empty((len(photos), size, size, 3), np.uint8)
    masks = None if photos[0].mask is None else np.empty((len(photos), size, size), np.bool_)
    with ThreadPoolExecutor() as pool:  # Pillow lets go of the interpreter while it decodes
        for i, (picture, mask) in enumerate(pool.map(lambda photo: photo.read(size, crop), photos)):
            pixels[i] = picture
            if masks is not None:
                masks[i] = mask
            if progress is not None:
                progress(i + 1, len(photos))
    return pixels, masks
