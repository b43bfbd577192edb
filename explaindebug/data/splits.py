"""Divide pictures into training, validation and test splits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.imageset import ImageSet, Labels

SPLITS = ("train", "val", "test")
Amount = int | float | None


def counts(
    amounts: Mapping[str, Amount],
    labels: Labels,
    classes: Sequence[str],
    *,
    every_class: bool = True,
) -> list[int]:
    """The number of pictures of each split.

    An int is a count, a float a share of all pictures (1.0 for all of them), None takes the rest.
    With `every_class` a split needs as many pictures as there are classes, otherwise one.

    Raises:
        ConfigError: as `check_amounts` does.
        DataError: if there are too few pictures.
    """
    check_amounts(amounts)
    total = len(labels)
    asked = {name: _count(amount, total) for name, amount in amounts.items()}
    rest = total - sum(n for n in asked.values() if n is not None)
    here = _census(labels, classes)
    wanted = ", ".join(f"{name} {'the rest' if n is None else n}" for name, n in asked.items())
    if rest < 0:
        raise DataError(
            f"too few pictures: {total - rest} requested ({wanted}), but there are {total} "
            f"({here}). Request fewer, or shares such as train: 0.7."
        )
    split = [rest if n is None else n for n in asked.values()]
    for name, n in zip(asked, split, strict=True):
        if n < (len(classes) if every_class else 1):
            raise DataError(
                f"the {name} split gets {n} of {total} pictures ({here}), fewer than one of each "
                f"of the {len(classes)} classes. Requested: {wanted}."
            )
    return split


def check_amounts(amounts: Mapping[str, Amount]) -> None:
    """Reject invalid amounts before any picture is read.

    Raises:
        ConfigError: for amounts that are not a count, a share or None, and for more than one None.
    """
    for name, amount in amounts.items():
        share = isinstance(amount, float) and 0 < amount <= 1
        count = isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1
        if not (amount is None or share or count):
            raise ConfigError(
                f"{name}={amount!r}, but it must be a count of pictures (1 or more), a share above "
                "0.0 and up to 1.0, or None for the rest."
            )
    if sum(amount is None for amount in amounts.values()) > 1:
        raise ConfigError(f"only one split may take the rest, but {dict(amounts)} has several.")


def drawn(
    amounts: Mapping[str, Amount],
    labels: Labels,
    classes: Sequence[str],
    seed: int,
    *,
    every_class: bool = True,
) -> list[Labels]:
    """Disjoint rows of each split, with sizes from `counts`, drawn by `stratified`.

    With `every_class` a split that lacks a class swaps a picture with a split that has several.

    Raises:
        ConfigError, DataError: as `counts` does; with `every_class` also if there are too few
            pictures of a class for all splits.
    """
    sizes = counts(amounts, labels, classes, every_class=every_class)
    parts = stratified(labels, sizes, seed)
    if not every_class:
        return parts
    here = np.array([np.bincount(labels[rows], minlength=len(classes)) for rows in parts])
    for i, k in np.argwhere(here == 0):
        if not _exchanged(parts, here, labels, i, k):
            name = list(amounts)[i]
            raise DataError(
                f"the {name} split would have no picture of class {classes[k]!r}, which every "
                f"split needs; in total there are {_census(labels, classes)}. Add pictures of it, "
                f"enlarge the {name} split, or leave the class out."
            )
    return parts


def _exchanged(
    parts: Sequence[Labels], here: Labels, labels: Labels, short: int, label: int
) -> bool:
    """Swap a picture of the class into the split that lacks it; False if that is impossible.

    `here` (splits, classes) counts the pictures of each class and is updated.
    """
    giver, other = int(here[:, label].argmax()), int(here[short].argmax())
    if here[giver, label] < 2 or here[short, other] < 2:
        return False
    give = np.flatnonzero(labels[parts[giver]] == label)[-1]
    take = np.flatnonzero(labels[parts[short]] == other)[-1]
    parts[giver][give], parts[short][take] = parts[short][take], parts[giver][give]
    here[giver, [label, other]] += (-1, 1)
    here[short, [label, other]] += (1, -1)
    return True


def stratified(labels: Labels, sizes: Sequence[int], seed: int) -> list[Labels]:
    """Disjoint rows of exactly these sizes, each with the classes in their overall proportions.

    Every class is shuffled and spread evenly over one sequence, which is then cut, so every part of
    it, and every beginning of a split, has the classes in proportion.
    """
    rng = np.random.default_rng([seed, 0])
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    line = np.argsort(place, kind="stable")
    return np.split(line, np.cumsum(sizes))[: len(sizes)]


def cut(together: ImageSet, sizes: Sequence[int]) -> list[ImageSet]:
    """Consecutive parts of these sizes; each numbers its rows from 0."""
    parts = [together.subset(slice(a, b)) for a, b in pairwise(np.cumsum([0, *sizes]))]
    return [replace(part, indices=np.arange(len(part))) for part in parts]


def thin(labels: Labels, limit: int | None, balance: bool, seed: int) -> Labels:
    """The rows that remain, in order, if classes are limited to `limit` pictures, or balanced.

    Raises:
        ConfigError: for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit={limit}, but at least one picture of each class is needed.")
    rng = np.random.default_rng([seed, 1])
    most = [n for n in (limit, np.bincount(labels).min() if balance else None) if n is not None]
    if not most:
        return np.arange(len(labels))
    classes = (np.flatnonzero(labels == k) for k in np.unique(labels))
    return np.sort(np.concatenate([rng.permutation(rows)[: min(most)] for rows in classes]))


def row_rng(seed: int, split: str, row: int) -> np.random.Generator:
    """A private generator for one row of one split."""
    return np.random.default_rng([seed, SPLITS.index(split), int(row)])


def _census(labels: Labels, classes: Sequence[str], most: int = 20) -> str:
    found = [f"{np.sum(labels == k)} {name}" for k, name in enumerate(classes[:most])]
    return ", ".join(found) + (f", ... of {len(classes)} classes" if len(classes) > most else "")


def _count(amount: Amount, total: int) -> int | None:
    # Rounded down, so that shares never add up to more than the total.
    return int(amount * total + 1e-9) if isinstance(amount, float) else amount


def balanced(truth: Labels, count: int, classes: Sequence[str], split: str) -> Labels:
    """`count` rows, the classes in turn; the first classes get one more where it doesn't divide.

    Raises:
        DataError: where a class has too few.
    """
    turns = math.ceil(count / len(classes))
    line = np.full((turns, len(classes)), -1, dtype=np.int64)
    for label, name in enumerate(classes):
        here = np.flatnonzero(truth == label)[:turns]
        wanted = len(range(label, count, len(classes)))
        if len(here) < wanted:
            raise DataError(
                f"a probe of {count} needs {wanted} {split} pictures of class {name!r}, but there "
                f"are {len(here)}. Ask for a smaller probe or a larger {split} split."
            )
        line[: len(here), label] = here
    return line.reshape(-1)[:count]
