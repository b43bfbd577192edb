"""Accuracy by class and group, and what a network loses on pictures that go against the grain."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from explaindebug.evaluation.inference import bootstrap_interval

Rights = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]


class CellAccuracy(NamedTuple):
    """The accuracy on the pictures of one class and group."""

    name: str  # "waterbird, land"
    value: float
    n: int


def by_group(
    right: Rights, truth: Labels, groups: Labels, classes: Sequence[str], names: Sequence[str]
) -> list[CellAccuracy]:
    """The accuracy of each class and group that has pictures; `right` (n,) says which are right."""
    found = []
    for c, name in enumerate(classes):
        for g, group in enumerate(names):
            here = right[(truth == c) & (groups == g)]
            if len(here):
                found.append(CellAccuracy(f"{name}, {group}", float(here.mean()), len(here)))
    return found


def worst(found: Sequence[CellAccuracy]) -> CellAccuracy:
    """The class and group of the lowest accuracy (Sagawa et al. 2020)."""
    return min(found, key=lambda cell: cell.value)


class Loss(NamedTuple):
    """Accuracy that is lost, a mean over pictures, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}] on {self.n} pictures"


def lost(right: Rights, others: Sequence[Rights]) -> Loss:
    """How much lower the accuracy is than the mean of the others', on the same pictures (n,).

    The interval is a bootstrap's over pictures, paired: it knows nothing of other trainings.
    """
    differences = np.mean(others, axis=0) - right
    low, high = bootstrap_interval(differences)
    return Loss(float(differences.mean()), float(low), float(high), len(differences))
