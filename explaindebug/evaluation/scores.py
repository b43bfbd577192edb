"""Scores as a tidy table: a row per test, method, condition, role, similarity and input."""

import csv
import hashlib
import operator
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from explaindebug.core.errors import DataError
from explaindebug.core.io import write_csv
from explaindebug.evaluation.roles import Role

if TYPE_CHECKING:
    import pandas

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Key(NamedTuple):
    """Identifies a column of scores."""

    test: str  # "spurious", "labels", "reinit", "ood"
    method: str  # "grad"
    condition: str  # "gt1", "top 3", ...: which maps are compared
    role: str  # "bug", "control", "control: 2" or "null: gaussian": which arm of the comparison
    similarity: str = ""  # "ssim"

    @property
    def arm(self) -> str:
        """The role's arm: "bug", "control" or "null"."""
        return Role.of(self.role).arm

    @property
    def null(self) -> str:
        """Name of the null; empty in the other arms."""
        return Role.of(self.role).null


def headed(fields: Iterable[str], rows_are: str) -> list[str]:
    """The columns of a table of such fields: methods are headed by what they are, a "concept"."""
    return [rows_are if field == "method" else field for field in fields]


class Column(NamedTuple):
    """The scores of one key, sorted by input."""

    rows: Ints  # (n,) which inputs
    values: Floats  # (n,) NaN if there is no score


HEADER = (*Key._fields, "row", "value")


class Scores:
    """Similarities per input, grouped by `Key`; `rows` name the inputs, so that arms can be paired.

    Iteration yields (key, column) in the order in which keys were added; `len` counts keys. A
    column does not depend on the order in which its inputs were scored, so shards can be added as
    they arrive.
    """

    def __init__(self) -> None:
        self._columns: dict[Key, Column] = {}

    def add(self, key: Key, rows: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """Append values (n,) of the inputs `rows` (n,) to the key's column.

        Raises:
            DataError: if the lengths differ, or an input already has a score under this key.
        """
        old = self._columns.get(key, Column(np.empty(0, np.int64), np.empty(0)))
        new = Column(np.asarray(rows, np.int64).ravel(), np.asarray(values, np.float64).ravel())
        if len(new.rows) != len(new.values):
            raise DataError(
                f"{len(new.rows)} inputs but {len(new.values)} scores for {_name(key)}."
            )
        joined = Column(*(np.concatenate(pair) for pair in zip(old, new, strict=True)))
        order = np.argsort(joined.rows, kind="stable")
        column = Column(joined.rows[order], joined.values[order])
        twice = column.rows[1:][np.diff(column.rows) == 0]
        if len(twice):
            raise DataError(
                f"input {twice[0]} is scored twice for {_name(key)}. "
                "One table can't hold the scores of two runs: keep one table per run."
            )
        self._columns[key] = column

    def __getitem__(self, key: Key) -> Column:
        return self._columns[key]

    def __contains__(self, key: object) -> bool:
        return key in self._columns

    def __iter__(self) -> Iterator[tuple[Key, Column]]:
        return iter(self._columns.items())

    def __len__(self) -> int:
        return len(self._columns)

    def __iadd__(self, other: "Scores") -> "Scores":
        for key, column in other:
            self.add(key, *column)
        return self

    def __add__(self, other: "Scores") -> "Scores":
        """A new table with both: different keys, or different inputs of the same keys."""
        total = Scores()
        total += self
        total += other
        return total

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same scores, with NaN equal to NaN and keys in any order."""
        if not isinstance(other, Scores) or self._columns.keys() != other._columns.keys():
            return False
        return all(
            np.array_equal(column.rows, other[key].rows)
            and np.array_equal(column.values, other[key].values, equal_nan=True)
            for key, column in self
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    @property
    def digest(self) -> str:
        """A short hash of the content, independent of the order of keys: equal for equal scores."""
        found = hashlib.sha256()
        for key in sorted(self._columns):
            rows, values = self._columns[key]
            plain = np.where(np.isnan(values), np.nan, values)  # one bit pattern for all NaN
            found.update("\0".join(key).encode() + b"\0")
            found.update(rows.astype("<i8").tobytes() + plain.astype("<f8").tobytes())
        return found.hexdigest()[:32]

    def select(self, **where: str) -> "Scores":
        """The part whose key fields have the given values: `select(test="ood", role="bug")`."""
        part = Scores()
        part._columns = {
            key: column
            for key, column in self
            if all(getattr(key, field) == value for field, value in where.items())
        }
        return part

    def of(self, rows: npt.ArrayLike) -> "Scores":
        """The part that belongs to inputs `rows` (n,)."""
        part = Scores()
        for key, column in self:
            keep = np.isin(column.rows, np.asarray(rows, np.int64))
            part._columns[key] = Column(column.rows[keep], column.values[keep])
        return part

    def unique(self, field: str) -> list[str]:
        """The distinct values of one key field, in order of appearance."""
        return list(dict.fromkeys(getattr(key, field) for key in self._columns))

    def frame(self) -> "pandas.DataFrame":
        """One row per score: the columns of `to_csv`, `row` as int64 and `value` as float64."""
        import pandas  # late, as it is slow to import

        parts = [
            pandas.DataFrame({**key._asdict(), "row": rows, "value": values})
            for key, (rows, values) in self
        ]
        if parts:
            return pandas.concat(parts, ignore_index=True)
        return pandas.DataFrame({name: [] for name in HEADER})

    @classmethod
    def from_frame(cls, frame: "pandas.DataFrame") -> "Scores":
        """The scores of such a table, with keys in its order; other columns are ignored.

        Raises:
            DataError: if a column is missing, a name is not text, a role is unknown, a value is not
                a number, or an input has two scores.
        """
        if lacking := [name for name in HEADER if name not in frame]:
            raise DataError(f"this is not a table of scores: it lacks {', '.join(lacking)}.")
        scores = cls()
        by_key: Any = frame.groupby(list(Key._fields), sort=False, dropna=False, observed=True)
        for names, part in by_key:
            if not all(isinstance(name, str) for name in names):
                raise DataError(
                    f"{dict(zip(Key._fields, names, strict=True))}: all of these must be text. "
                    "Read CSV files with Scores.from_csv, or with pandas' keep_default_na=False."
                )
            key = Key(*names)
            Role.of(key.role)  # an unknown role would belong to no arm
            try:
                scores.add(key, [operator.index(row) for row in part["row"]], part["value"])
            except (TypeError, ValueError) as error:
                raise DataError(f"{_name(key)}: {error}") from error
        return scores

    def to_csv(self, path: Path | str) -> None:
        """Write one line per score, exactly (`from_csv` gives equal scores) and atomically."""
        lines = (
            (*key, row, value)
            for key, (rows, values) in self
            for row, value in zip(rows.tolist(), values.tolist(), strict=True)
        )
        write_csv(path, HEADER, lines)

    @classmethod
    def from_csv(cls, path: Path | str) -> "Scores":
        """The scores that `to_csv` wrote.

        Raises:
            DataError: if it is another kind of file, or damaged; names the line.
        """
        lines: dict[Key, tuple[list[int], list[float]]] = {}
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = tuple(next(reader, ()))
            if header != HEADER:
                raise DataError(
                    f"{path} is not a table of scores: its columns are {header}, not {HEADER}."
                )
            for line in reader:
                try:
                    *key, row, value = line
                    column = Key(*key)
                    if column not in lines:
                        Role.of(column.role)  # an unknown role would belong to no arm
                    rows, values = lines.setdefault(column, ([], []))
                    rows.append(int(row))
                    values.append(float(value))
                except (DataError, TypeError, ValueError) as error:
                    raise DataError(f"{path}, line {reader.line_num}: {error}.") from error
        scores = cls()
        for name, (rows, values) in lines.items():
            scores.add(name, rows, values)
        return scores


def _name(key: Key) -> str:
    return " / ".join(key)
