"""What a bug in the data is: other pictures or labels, made from clean ones, and a record of it."""

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
    """What a bug did to one split, in plain values, to be written as JSON."""

    bug: str
    options: Mapping[str, Any]
    split: str
    rows: list[int]  # places in the clean data of this split
    truth: list[int]  # the right labels of these rows
    labels: list[int]  # what the model is told

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `Record(**values)` brings the record back."""
        return asdict(self)


@dataclass(frozen=True)
class DataBug(ABC):
    """Clean pictures to contaminated ones; the fields of a bug are its options.

    The result depends on the options, on each picture and on its row: neither on the order of the
    rows nor on anything drawn before. The clean pictures stay as they are.
    """

    name: ClassVar[str]  # as in the registry
    label: ClassVar[str]  # as tables write it
    source: ClassVar[str]  # paper, section
    strikes: ClassVar[tuple[str, ...]] = SPLITS  # the splits that a data module applies it to
    needs: ClassVar[tuple[str, ...]] = ()  # of "masks" and "scenes"

    @abstractmethod
    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        """The contaminated twin of `data`, which is one split of some clean data."""

    @abstractmethod
    def struck(self, data: ImageSet, split: str = "train") -> Labels:
        """Positions in `data`, sorted, that the bug changes; the same before and after."""

    def record(self, data: ImageSet, split: str = "train") -> Record:
        """What the bug did, given the contaminated pictures."""
        rows = self.struck(data, split)
        columns = (data.indices, data.truth, data.labels)
        return Record(self.name, asdict(self), split, *(c[rows].tolist() for c in columns))


def uniform(data: ImageSet, *seeds: int) -> npt.NDArray[np.float64]:
    """A number (n,) in [0, 1) for every picture that depends on the seeds and its row alone."""
    most = int(data.indices.max(initial=-1)) + 1
    return np.random.default_rng(seeds).random(most)[data.indices]


def share(name: str, value: float) -> None:
    """Raises ConfigError for a value outside [0, 1]."""
    number(name, value, least=0, most=1, hint="It is a share: 0.1 for a tenth.")
