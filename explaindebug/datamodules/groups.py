"""Photographs that a table lists with class, group and split."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.core.validation import at_most, folder, whole
from explaindebug.data.grouped import Grouped, Listing, listed
from explaindebug.data.imageset import Labels, Splits
from explaindebug.data.masks import CONVENTIONS
from explaindebug.data.photos import Progress, decoded, distinct
from explaindebug.data.splits import SPLITS, Amount, check_amounts, drawn, stratified
from explaindebug.datamodules.base import DebugDataModule


class Groups(DebugDataModule):
    """Photographs with a class and a group each, such as waterbirds and landbirds on two places.

    Below the root is a table with one row per picture, `metadata.csv` or what CelebA has. The
    columns are recognised by their names in Waterbirds, CelebA, WILDS, SubpopBench and ISIC.

    Args:
        root: the folder with the table and the pictures.
        table: the table's name below the root; None for the known ones, or the only one.
        columns: which column is the `file`, `label`, `group`, `split` and `mask`, where that is not
            recognised; null for a split or mask that is not used.
        images: the folder below the root that the table's paths start in; None looks for it.
        classes: names of the classes, in the order of their values or by value; by default the
            values themselves.
        groups: names of the groups, likewise.
        splits: by `train`, `val` and `test`, the values of the split column; None for 0, 1, 2 and
            the usual words. Rows of other values are left out.
        convention: how masks are read, see `explaindebug.data.masks`.
        size: height and width in pixels; pictures are squeezed to it.
        train: training pictures, a count or a fraction, if the table has no splits.
        val: validation pictures, likewise; also if the table has splits, but no validation
            pictures: then they are drawn from the training pictures.
        test: test pictures, likewise, if the table has no splits.
        limit: maximal number of pictures per class and split, with its groups in proportion.
        options: those of `DebugDataModule`.

    `progress`, if set, is called with (pictures done, pictures in total) while files are read.
    """

    progress: Progress | None = None

    def __init__(
        self,
        *,
        root: str | Path,
        table: str | None = None,
        columns: Mapping[str, str | None] | None = None,
        images: str | None = None,
        classes: Mapping[Any, str] | Sequence[str] | None = None,
        groups: Mapping[Any, str] | Sequence[str] | None = None,
        splits: Mapping[str, Any] | None = None,
        convention: str = "binary",
        size: int = 112,
        train: Amount = 0.7,
        val: Amount = 0.1,
        test: Amount = 0.2,
        limit: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = folder("root", root)
        whole("size", size, least=8, most=4096, hint="It is in pixels a side.")
        self.size = size
        self.amounts: dict[str, Amount] = {"train": train, "val": val, "test": test}
        check_amounts(self.amounts)
        at_most("limit", limit)
        self.limit = limit
        _ = CONVENTIONS[convention]
        for name, names in (("classes", classes), ("groups", groups)):
            _check_names(name, names)
        self.layout: dict[str, Any] = {
            "table": table,
            "columns": columns,
            "images": images,
            "classes": classes,
            "groups": groups,
            "splits": splits,
            "convention": convention,
        }

    def load(self) -> Splits:
        """Every picture and mask of the splits, decoded."""
        found = listed(self.root, **self.layout)
        parts = [self._limited(part) for part in self._parts(found)]
        once = distinct([photo for part in parts for photo in part], found.classes)
        kept = {photo.image for photo in once}
        parts = [[photo for photo in part if photo.image in kept] for part in parts]
        _refuse_gaps(parts, found)
        made = decoded(parts, found.classes, self.size, progress=self.progress)
        return Splits(
            *(
                replace(images, groups=_groups(part), group_names=found.groups)
                for images, part in zip(made, parts, strict=True)
            )
        )

    def _parts(self, found: Listing) -> list[list[Grouped]]:
        """The pictures of each split, by the table or at random."""
        if found.photos and found.photos[0].split is None:
            say = f"the table in {self.root} has no column of splits: pictures are split at random."
            warnings.warn(say, DataWarning, stacklevel=2)
            return _drawn(found.photos, self.amounts, found, self.seed)
        train, val, test = ([p for p in found.photos if p.split == name] for name in SPLITS)
        if train and not val:
            say = (
                f"the table in {self.root} has no validation pictures: they are drawn from the "
                "training pictures."
            )
            warnings.warn(say, DataWarning, stacklevel=2)
            amounts: dict[str, Amount] = {"train": None, "val": self.amounts["val"]}
            train, val = _drawn(train, amounts, found, self.seed)
        return [train, val, test]

    def _limited(self, part: Sequence[Grouped]) -> list[Grouped]:
        """At most `limit` pictures of each class, its groups in proportion."""
        if self.limit is None:
            return list(part)
        labels, groups = (np.array([getattr(p, k) for p in part]) for k in ("label", "group"))
        kept: list[int] = []
        for label in np.unique(labels):
            here = np.flatnonzero(labels == label)
            (first,) = stratified(groups[here], [min(self.limit, len(here))], self.seed)
            kept += here[first].tolist()
        return [part[i] for i in sorted(kept)]


def _drawn(
    photos: Sequence[Grouped], amounts: Mapping[str, Amount], found: Listing, seed: int
) -> list[list[Grouped]]:
    """Disjoint random splits, with classes and groups in proportion."""
    kinds = len(found.groups)
    cells = np.array([kinds * photo.label + photo.group for photo in photos], dtype=np.int64)
    names = [f"{name}, {group}" for name in found.classes for group in found.groups]
    parts = drawn(amounts, cells, names, seed, every_class=False)
    return [[photos[i] for i in rows] for rows in parts]


def _groups(part: Sequence[Grouped]) -> Labels:
    return np.array([photo.group for photo in part], dtype=np.int64)


def _refuse_gaps(parts: Sequence[Sequence[Grouped]], found: Listing) -> None:
    """Raises DataError if a split has no picture of a class."""
    for split, part in zip(SPLITS, parts, strict=True):
        there = {photo.label for photo in part}
        if bare := [name for k, name in enumerate(found.classes) if k not in there]:
            raise DataError(
                f"the {split} split has no picture of class {', '.join(bare[:3])}, which every "
                f"split needs; it has {len(part)} pictures. Add some, leave it out, or split "
                "at random with columns={split: null}."
            )


def _check_names(option: str, names: Any) -> None:
    """Raises ConfigError for names that are neither listed nor given by value."""
    if names is None or isinstance(names, Mapping):
        return
    if not isinstance(names, list | tuple) or len(names) < 2:
        raise ConfigError(
            f"{option}={names!r}, but it must be a list of two or more names, or {{value: name}}."
        )
