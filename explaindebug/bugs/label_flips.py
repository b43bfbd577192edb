"""Some training examples have a wrong label."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from explaindebug.bugs import BUGS
from explaindebug.bugs.base import DataBug, share, uniform
from explaindebug.data.imageset import ImageSet, Labels
from explaindebug.data.scenes import Scenes


@BUGS.register("labels")
@dataclass(frozen=True)
class LabelFlips(DataBug):
    """Exactly round(rate n) pictures get another class's label, each class equally likely.

    `truth` keeps the true labels. Which rows are flipped, and to which class, depends only on the
    seed and on their positions in the clean data.

    Raises:
        ConfigError: for a rate outside [0, 1].

    Source: Adebayo et al. 2020, section 3.2 (a tenth of the training labels).
    """

    name: ClassVar[str] = "labels"
    label: ClassVar[str] = "Mislabelled examples"
    source: ClassVar[str] = "Adebayo et al. 2020, section 3.2"
    splits: ClassVar[tuple[str, ...]] = ("train",)

    rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        share("rate", self.rate)

    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        k, rows, labels = len(data.classes), self.affected(data, split), data.labels.copy()
        step = 1 + (uniform(data, self.seed, 1)[rows] * (k - 1)).astype(np.int64)  # 1 to k - 1
        labels[rows] = (data.truth[rows] + step) % k
        return replace(data, labels=labels)

    def affected(self, data: ImageSet, split: str = "train") -> Labels:
        order = np.argsort(uniform(data, self.seed, 0), kind="stable")
        return np.sort(order[: round(self.rate * len(data))])
