"""Columns of metadata that go with what the network predicts: facts, not claims.

No picture can be changed from one scanner to another, so nothing here is an intervention: what goes
with a class may be its cause, its effect, or neither.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from explaindebug.core.errors import DataError
from explaindebug.evaluation.inference import benjamini_hochberg
from explaindebug.evaluation.suspects import Fact

DRAWS = 1999


def facts(
    metadata: Mapping[str, Sequence[Any]],
    predicted: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    *,
    truth: npt.NDArray[np.int64] | None = None,
    seed: int = 0,
) -> list[Fact]:
    """The value of each column and class with the largest difference on `found`, tested on `held`.

    One-sided, by permutations; with `truth` these stay within true classes, so that a column which
    goes with the labels is not enough. Columns in which every input has its own value tell nothing
    and are left out.
    """
    picked = list(_picked(metadata, predicted, found))
    made, raw = [], []
    strata = np.zeros(len(held), np.int64) if truth is None else truth[held]
    for number, (column, value, one) in enumerate(picked):
        own = np.asarray([str(v) == value for v in metadata[column]])[held]
        said = predicted[held] == one
        if own.all() or not own.any():
            continue
        rng = np.random.default_rng((seed, number))
        seen = int((own & said).sum())
        reached = sum(int((_within(own, strata, rng) & said).sum()) >= seen for _ in range(DRAWS))
        raw.append((1 + reached) / (1 + DRAWS))
        shares = float(said[own].mean()), float(said[~own].mean())
        made.append((column, value, one, *shares, int(own.sum())))
    adjusted = benjamini_hochberg(raw).tolist() if raw else []
    return [Fact(*one, q) for one, q in zip(made, adjusted, strict=True)]


def check_metadata(metadata: Mapping[str, Sequence[Any]], count: int) -> None:
    """Raises DataError for a column whose length is not that of the inputs."""
    for name, column in metadata.items():
        if len(column) != count:
            raise DataError(
                f"metadata[{name!r}] has {len(column)} values for {count} inputs: give one each."
            )


def _picked(
    metadata: Mapping[str, Sequence[Any]],
    predicted: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> Iterator[tuple[str, str, int]]:
    """For each column and class, the value that goes with it most on the found half."""
    for column, values in metadata.items():
        known = np.asarray([str(v) for v in values])[found]
        kinds, counts = np.unique(known, return_counts=True)
        kinds = kinds[(counts >= 2) & (counts < len(known))]
        for one in np.unique(predicted[found]).tolist():
            said = predicted[found] == one
            lifts = [said[known == k].mean() - said[known != k].mean() for k in kinds]
            if lifts and max(lifts) > 0:
                yield column, str(kinds[int(np.argmax(lifts))]), one


def _within(
    own: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """The values in random order within each stratum."""
    mixed = own.copy()
    for stratum in np.unique(strata):
        where = np.flatnonzero(strata == stratum)
        mixed[where] = own[rng.permutation(where)]
    return mixed
