"""A group that occurs with a class in the training data, to a degree."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from explaindebug.bugs.base import DataBug, Record, share
from explaindebug.core.errors import DataError
from explaindebug.data.imageset import ImageSet, Labels
from explaindebug.data.scenes import Scenes

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupCorrelation(DataBug):
    """Training pictures drawn so that class and group correlate as in the data, less, or not.

    The share of pictures of class c and group g becomes s p(c, g) + (1 - s) p(c) p(g): with s = 1
    the data as it is, with s = 0 class and group are independent while each is as frequent as
    before. Of groups that become rarer pictures are left out, of others some are repeated, so there
    are as many as before. With `repeat=False` none is repeated: as many are drawn, for any s, as
    there are for s = 0.

    Other data bugs change pictures; this one changes which there are. So it is not among the bugs
    that are chosen by name.

    Raises:
        ConfigError: for a strength outside [0, 1].
        DataError: for pictures without groups, or a class without any picture of a group.

    Source: balanced by resampling or by leaving out, RWG and SUBG of Idrissi et al. 2022, Simple
    data balancing achieves competitive worst-group-accuracy; here with the classes' frequencies.
    """

    name: ClassVar[str] = "groups"
    label: ClassVar[str] = "Correlated group"
    source: ClassVar[str] = "Sagawa et al. 2020, Idrissi et al. 2022"
    splits: ClassVar[tuple[str, ...]] = ("train",)

    strength: float = 1.0
    repeat: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        share("strength", self.strength)

    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        rows = self.drawn(data)
        return data if np.array_equal(rows, np.arange(len(data))) else data.subset(rows)

    def affected(self, data: ImageSet, split: str = "train") -> Labels:
        """Positions in the clean data, sorted, of pictures that are left out or repeated."""
        return np.flatnonzero(np.bincount(self.drawn(data), minlength=len(data)) != 1)

    def record(self, data: ImageSet, split: str = "train") -> Record:
        """All pictures that there are, with repetitions."""
        columns = (data.indices, data.truth, data.labels)
        return Record(self.name, self.plain, split, *(c.tolist() for c in columns))

    def drawn(self, data: ImageSet) -> Labels:
        """Positions of the pictures, sorted, in which some are repeated."""
        there = cells(data)
        if self.strength == 1 and self.repeat:
            return np.arange(len(data))
        if not there.all():
            c, g = np.argwhere(there == 0)[0]
            raise DataError(
                f"no training picture of class {data.classes[c]!r} is of group "
                f"{data.group_names[g]!r}, so class and group can't be made independent. Add some, "
                "or leave the group out."
            )
        rng = np.random.default_rng([self.seed, 3])
        rows = []
        for (c, g), wanted in np.ndenumerate(self._wanted(there)):
            here = np.flatnonzero((data.truth == c) & (data.groups == g))
            here = here[np.argsort(data.indices[here], kind="stable")]
            rows.append(np.resize(rng.permutation(here), wanted))
        return np.sort(np.concatenate(rows))

    def _wanted(self, there: Counts) -> Counts:
        """How many pictures of each class and group (k, m)."""
        apart = independent(there)
        total = there.sum() if self.repeat else np.floor((there / apart).min() * there.sum())
        shares = self.strength * there / there.sum() + (1 - self.strength) * apart / apart.sum()
        return whole_parts(shares * total, most=None if self.repeat else there)


def cells(data: ImageSet) -> Counts:
    """The number of pictures of each class and group (k, m).

    Raises:
        DataError: for pictures without groups.
    """
    if data.groups is None:
        raise DataError(
            "these pictures have no groups. Take data that has some: data=groups reads them from a "
            "table, metadata.csv."
        )
    found = np.zeros((len(data.classes), len(data.group_names)), np.int64)
    np.add.at(found, (data.truth, data.groups), 1)
    return found


def independent(there: Counts) -> npt.NDArray[np.float64]:
    """The numbers (k, m) that would be expected if class and group were independent."""
    found: npt.NDArray[np.float64] = np.outer(there.sum(1), there.sum(0)) / there.sum()
    return found


def whole_parts(parts: npt.NDArray[np.float64], most: Counts | None = None) -> Counts:
    """Whole numbers of the same sum, by largest remainders, at most `most` each."""
    down = np.floor(parts + 1e-9).astype(np.int64)
    down = down if most is None else np.minimum(down, most)
    order = np.argsort((down - parts).ravel(), kind="stable")
    room = order if most is None else order[(down < most).ravel()[order]]
    down.ravel()[room[: round(float(parts.sum())) - int(down.sum())]] += 1
    return down
