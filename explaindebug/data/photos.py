"""Read photographs and masks from folders into memory."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.data.copies import copies, say_copies
from explaindebug.data.folder_layout import ClassFiles, some
from explaindebug.data.image_files import Frame, read_picture, turned, unturned
from explaindebug.data.imageset import Bools, ImageSet, Pixels, Splits
from explaindebug.data.masks import CONVENTIONS, Mask
from explaindebug.data.memory import check_memory
from explaindebug.data.splits import Amount, cut, drawn, thin

Progress = Callable[[int, int], object]  # (pictures done, pictures in total)
Note = tuple[str, str, Path]  # "pictures" or "masks", a decision in reading it, its file


@dataclass(frozen=True)
class Photo:
    """One picture of a class: its file and its mask."""

    image: Path
    mask: Mask | None
    label: int
    held_out: bool = False  # whether the data set assigns it to the test split

    def read(
        self,
        size: int,
        crop: float | None = None,
        *,
        upright: bool = True,
        notes: list[Note] | None = None,
    ) -> tuple[Pixels, Bools | None]:
        """Picture (size, size, 3) and mask (size, size).

        With `upright` both are turned by their EXIF orientation, otherwise as stored. Decisions
        made in reading them are added to `notes`.

        Raises:
            DataError: for a file that can't be read, or a mask that doesn't fit; names the file.
        """
        pixels, frame = read_picture(self.image, size, crop, upright=upright)
        notes = [] if notes is None else notes
        notes.extend(("pictures", note, self.image) for note in frame.notes)
        if self.mask is None:
            return pixels, None
        mask, own = self.mask(size, frame.upright, crop)
        notes.extend(("masks", note, self.mask.path) for note in own.notes)
        if not upright:
            mask, own = unturned(mask, own.turn), Frame(own.size)
        return pixels, self._aligned(frame, mask, own)

    def _aligned(self, picture: Frame, mask: Bools, own: Frame) -> Bools:
        """The mask oriented like its picture; it may match it as displayed or as stored."""
        assert self.mask is not None
        seen, stored = own.upright == picture.upright, own.size == picture.size
        if seen and (own.turn == picture.turn or not stored):
            return mask
        if seen and stored:
            raise DataError(
                f"{self.image} and its mask {self.mask.path} have different EXIF orientations "
                f"({picture.turn} and {own.turn}), so it is unclear whether the mask belongs to "
                "the turned picture. Turn the pixels themselves (mogrify -auto-orient) and check "
                "that the mask fits."
            )
        if stored:
            return turned(unturned(mask, own.turn), picture.turn)
        (w, h), (wide, tall) = own.upright, picture.upright
        raise DataError(
            f"{self.mask.path} is {w} x {h} pixels, but its picture {self.image} is {wide} x "
            f"{tall}. Make them the same size."
        )


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

    Every file is read before this returns, so any problem is known before training. Pictures are
    resized without cropping, and turned upright by their EXIF orientation. Each picture counts
    once: of copies (links, or files with equal bytes) the first is kept, and a DataWarning names
    the others, as well as anything else that was left out or had to be decided.

    Args:
        classes: by class name, the fields of a `ClassFiles` (patterns below the root).
        root: the folder that the patterns start in.
        size: height and width in pixels.
        train: number of training pictures, as a count or a share of all; None for the rest.
        val: the same for validation pictures.
        test: the same for test pictures.
        limit: the most pictures per class.
        balance: whether every class gets as many pictures as the smallest has.
        seed: of the choice of pictures and of the split.
        progress: is called with (pictures done, pictures in total).

    Raises:
        ConfigError: for invalid options.
        DataError: for a missing or empty folder, a corrupt picture, a picture without mask, a mask
            of another size or without object, a picture in two classes, or too few pictures; names
            the file.
    """
    names, amounts = tuple(classes), {"train": train, "val": val, "test": test}
    found = distinct(listing(classes, root), names)
    parts = shuffled(found, names, amounts, limit, balance, seed)
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
    """Disjoint random splits of these amounts, stratified by class.

    Raises:
        ConfigError: for invalid amounts.
        DataError: if there are too few pictures, or a split would lack a class.
    """
    labels = np.array([photo.label for photo in found])
    kept = thin(labels, limit, balance, seed)
    parts = drawn(amounts, labels[kept], classes, seed, every_class=every_class)
    return [[found[kept[row]] for row in rows] for rows in parts]


def distinct(
    found: Sequence[Photo], classes: Sequence[str], *, published: bool = False
) -> list[Photo]:
    """The photographs without copies: the first is kept, or the first one that is held out.

    A DataWarning names those that are left out. As users can't fix a `published` data set, a
    picture that it has in two classes is left out of both.

    Raises:
        DataError: for a picture of two classes, unless `published`.
    """
    left_out: dict[int, int] = {}  # position of a copy -> position of the original
    for group in copies([photo.image for photo in found]):
        first = max(group, key=lambda i: found[i].held_out)  # the first one held out, if any
        other = next((i for i in group if found[i].label != found[first].label), None)
        if other is not None and not published:
            a, b = found[first], found[other]
            raise DataError(
                f"{a.image} of class {classes[a.label]!r} and {b.image} of class "
                f"{classes[b.label]!r} are the same picture, which can't belong to both. Remove it "
                "from one of them, or fix the patterns."
            )
        left_out |= {i: first for i in group if i != first or other is not None}
    pairs = [(found[i].image, found[first].image) for i, first in left_out.items()]
    say_copies(pairs, f"of {len(found)} pictures")
    return [photo for i, photo in enumerate(found) if i not in left_out]


def decoded(
    parts: Sequence[Sequence[Photo]],
    classes: Sequence[str],
    size: int,
    crop: float | None = None,
    progress: Progress | None = None,
    *,
    upright: bool = True,
) -> Splits:
    """Read the photographs of three splits; with `crop`, the part that `image_files.window` gives.

    They are turned by their EXIF orientation, or with upright=False left as stored.

    Raises:
        ConfigError: for a size below 8.
        DataError: for a corrupt file, a mask of another size, masks without a background, or more
            than fits into memory.
    """
    if size < 8:
        raise ConfigError(f"size={size}, but pictures need at least 8 x 8 pixels.")
    chosen = [photo for part in parts for photo in part]
    check_memory(
        (4 if chosen[0].mask else 3) * len(chosen) * size**2,
        f"{len(chosen)} pictures of {size} x {size} pixels",
        "Choose a smaller size or fewer pictures.",
    )
    pixels, masks = _read_all(chosen, size, crop, progress, upright)
    _check_backgrounds(masks, chosen)
    labels = np.array([photo.label for photo in chosen], dtype=np.int64)
    together = ImageSet(pixels, labels, tuple(classes), masks)
    return Splits(*cut(together, [len(part) for part in parts]))


def listing(classes: Mapping[str, Any], root: str | Path) -> list[Photo]:
    """All pictures with their mask files, class by class, ordered by path.

    Raises:
        ConfigError: for fewer than two classes, or masks for only some classes.
        DataError: for a missing or empty folder, or a picture without mask.
    """
    specs = {str(name): ClassFiles.of(str(name), spec) for name, spec in classes.items()}
    if len(specs) < 2:
        raise ConfigError(f"at least two classes are needed, got {list(specs)}.")
    bare = [name for name, files in specs.items() if files.masks is None]
    if 0 < len(bare) < len(specs):
        raise ConfigError(
            f"class {', '.join(bare)} has no masks, but the others have: set a `masks` pattern for "
            "every class, or for none."
        )
    found = [
        Photo(image, files.mask(mask), label)
        for label, (name, files) in enumerate(specs.items())
        for image, mask in files.pairs(Path(root), name)
    ]
    _say_unused(specs.values(), Path(root), found)
    return found


def _say_unused(specs: Iterable[ClassFiles], root: Path, found: Sequence[Photo]) -> None:
    """Warn about masks without a picture, which may be missing."""
    used = {photo.mask.path for photo in found if photo.mask is not None}
    unused = sorted({path for files in specs for path in files.all_masks(root)} - used)
    if unused:
        warnings.warn(
            f"{len(unused)} masks are not used, as no picture has their name: {some(unused)}.",
            DataWarning,
            stacklevel=4,
        )


def _check_backgrounds(masks: Bools | None, photos: Sequence[Photo]) -> None:
    """Reject a class without any background; single close-ups may fill their pictures."""
    for label in {photo.label for photo in photos if masks is not None}:
        here = [i for i, photo in enumerate(photos) if photo.label == label]
        photo = photos[here[0]]
        if masks is not None and photo.mask is not None and masks[here].all():
            raise DataError(
                f"all masks of a class mark everything as object, for example {photo.mask.path}, "
                f"read as {photo.mask.read_as}. Is that the right convention? Known: "
                f"{', '.join(CONVENTIONS)}."
            )


def _read_all(
    photos: Sequence[Photo],
    size: int,
    crop: float | None,
    progress: Progress | None,
    upright: bool,
) -> tuple[Pixels, Bools | None]:
    pixels = np.empty((len(photos), size, size, 3), np.uint8)
    masks = None if photos[0].mask is None else np.empty((len(photos), size, size), np.bool_)
    notes: list[Note] = []

    def read(photo: Photo) -> tuple[Pixels, Bools | None]:
        return photo.read(size, crop, upright=upright, notes=notes)

    with ThreadPoolExecutor() as pool:  # Pillow releases the GIL while it decodes
        for i, (picture, mask) in enumerate(pool.map(read, photos)):
            pixels[i] = picture
            if masks is not None:
                masks[i] = mask
            if progress is not None:
                progress(i + 1, len(photos))
    _say(sorted(notes), len(photos))  # threads add them in any order
    return pixels, masks


def _say(notes: Sequence[Note], total: int) -> None:
    """One warning per kind of decision, with the number of files."""
    for (what, note), group in groupby(notes, lambda one: one[:2]):
        paths = [path for *_, path in group]
        warnings.warn(
            f"{len(paths)} of {total} {what} {note}: {some(paths)}.", DataWarning, stacklevel=5
        )
