"""Wrong labels that are known one by one, because somebody else's training had them."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from explaindebug.bugs.base import DataBug
from explaindebug.core.errors import DataError
from explaindebug.data.imageset import ImageSet, Labels
from explaindebug.data.scenes import Scenes


@dataclass(frozen=True)
class KnownFlips(DataBug):
    """The training pictures of these rows get these labels; `truth` keeps the true ones.

    Raises:
        DataError: on use, for a row that there is not, or a label that is no class or is right.
    """

    name: ClassVar[str] = "labels"
    label: ClassVar[str] = "Mislabelled examples"
    source: ClassVar[str] = "Adebayo et al. 2020, section 3.2"
    splits: ClassVar[tuple[str, ...]] = ("train",)

    rows: tuple[int, ...]  # of the training pictures, counted from 0
    labels: tuple[int, ...]  # what the network was told

    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        self._check(data)
        labels = data.labels.copy()
        labels[self._places(data)] = self.labels
        return replace(data, labels=labels)

    def affected(self, data: ImageSet, split: str = "train") -> Labels:
        self._check(data)
        return np.sort(self._places(data))

    def _places(self, data: ImageSet) -> Labels:
        places = {row: place for place, row in enumerate(data.indices.tolist())}
        return np.array([places[row] for row in self.rows], dtype=np.int64)

    def _check(self, data: ImageSet) -> None:
        known = dict(zip(data.indices.tolist(), data.truth.tolist(), strict=True))
        for row, label in zip(self.rows, self.labels, strict=True):
            if row not in known:
                raise DataError(
                    f"row {row} has a wrong label, but there are {len(data)} training pictures, "
                    f"rows {min(known)} to {max(known)}. Rows count from 0."
                )
            if not 0 <= label < len(data.classes) or label == known[row]:
                raise DataError(
                    f"row {row} has the wrong label {label}, but must have another class than its "
                    f"own, {known[row]} ({data.classes[known[row]]}), of 0 to "
                    f"{len(data.classes) - 1}."
                )


def read_flips(path: str | Path) -> KnownFlips:
    """The wrong labels in a CSV file with columns row and label, or in a record of a run.

    Raises:
        DataError: for a file that is missing, or has no such columns.
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text("utf-8")
        lines = _of_record(json.loads(text)) if path.suffix == ".json" else _of_table(text)
        rows, labels = zip(*sorted(dict(lines).items()), strict=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} can't be read as wrong labels ({type(error).__name__}: {error}): a CSV file "
            "with the columns row and label is needed, or a run's records/mislabelled.json."
        ) from error
    return KnownFlips(rows, labels)


def _of_table(text: str) -> Iterable[tuple[int, int]]:
    return [(int(line["row"]), int(line["label"])) for line in csv.DictReader(text.splitlines())]


def _of_record(record: list[Mapping[str, Any]]) -> Iterable[tuple[int, int]]:
    (train,) = [part for part in record if part["split"] == "train"]
    return zip(map(int, train["rows"]), map(int, train["labels"]), strict=True)
