"""Base of data bugs: pictures or labels changed from clean ones, with a record of the changes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from explaindebug.core.validation import number
from explaindebug.data.imageset import ImageSet, Labels
from explaindebug.data.scenes import Scenes
from explaindebug.data.splits import SPLITS


@dataclass(frozen=True)
class Record:
    """What a bug changed in one split, as plain values for JSON."""

    bug: str
    options: Mapping[str, Any]
    split: str
    rows: list[int]  # positions in the clean data of this split
    truth: list[int]  # true labels of these rows
    labels: list[int]  # given labels of these rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values, from which `Record(**values)` restores the record."""
        return asdict(self)


@dataclass(frozen=True)
class DataBug(ABC):
    """Turns clean pictures into contaminated ones; the fields of a bug are its options.

    The result depends only on the options, on each picture and on its row: not on the order of the
    rows or on the global random state. The clean pictures are not changed.
    """

    name: ClassVar[str]  # as in the registry
    label: ClassVar[str]  # as in tables
    source: ClassVar[str]  # paper, section
    splits: ClassVar[tuple[str, ...]] = SPLITS  # the splits that a data module applies it to
    needs: ClassVar[tuple[str, ...]] = ()  # what the data must have: "masks", "scenes"

    @abstractmethod
    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        """The contaminated twin of `data`, which is one split of some clean data."""

    @abstractmethod
    def affected(self, data: ImageSet, split: str = "train") -> Labels:
        """Positions in `data`, sorted, that the bug changes; equal for clean and changed data."""

    @property
    def plain(self) -> Mapping[str, Any]:
        """Its options as plain values, for its record."""
        return asdict(self)

    def record(self, data: ImageSet, split: str = "train") -> Record:
        """What the bug changed, given the contaminated pictures."""
        rows = self.affected(data, split)
        columns = (data.indices, data.truth, data.labels)
        return Record(self.name, self.plain, split, *(c[rows].tolist() for c in columns))


def uniform(data: ImageSet, *seeds: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per picture (n,) that depends only on the seeds and the picture's row."""
    count = int(data.indices.max(initial=-1)) + 1
    return np.random.default_rng(seeds).random(count)[data.indices]


def share(name: str, value: float) -> None:
    """Raises ConfigError for a value outside [0, 1]."""
    number(name, value, least=0, most=1, hint="It is a share: 0.1 means a tenth.")
