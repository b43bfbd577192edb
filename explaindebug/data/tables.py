"""Read a table of pictures: CSV or TSV with a header, or CelebA's text files."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.registry import nearest

DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """The cells of a table by column, as text."""

    path: Path
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> Sequence[str]:
        """A column.

        Raises:
            ConfigError: if there is none of this name; names those that there are.
        """
        if name not in self.columns:
            raise ConfigError(
                f"{self.path} has no column {name!r}.{nearest(str(name), list(self.columns))} It "
                f"has: {some(list(self.columns))}."
            )
        return self.columns[name]

    def joined(self, other: "Table") -> "Table":
        """The table with another's columns for the same values of the first, in any order.

        Raises:
            DataError: if a key is missing in the other.
        """
        keys, theirs = (next(iter(t.columns.values())) for t in (self, other))
        places = {key: i for i, key in enumerate(theirs)}
        if absent := [key for key in keys if key not in places]:
            raise DataError(
                f"{len(absent)} of {len(keys)} pictures of {self.path} are not in {other.path}: "
                f"{some(absent, 3)}."
            )
        rows = [places[key] for key in keys]
        more = {name: [cells[i] for i in rows] for name, cells in other.columns.items()}
        return Table(self.path, {**more, **self.columns})


def read_table(path: Path) -> Table:
    """The table in a file: .txt as CelebA has it, anything else as CSV or TSV with a header.

    Raises:
        DataError: for a file that is not text, has no rows, a column twice, or rows of different
            lengths; names the line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read as a table ({error}).") from error
    lines = text.splitlines()
    if path.suffix.lower() == ".txt":
        header, rows = _celeba(lines)
    else:
        first = lines[0] if lines else ""
        delimiter = max(DELIMITERS, key=first.count)
        every = list(csv.reader(lines, delimiter=delimiter))
        header, rows = (every[0] if every else []), every[1:]
    header = [name.strip() or f"column {i + 1}" for i, name in enumerate(header)]
    rows = [row for row in rows if row]
    for i, row in enumerate(rows):
        if len(row) != len(header):
            raise DataError(
                f"row {i + 1} of {path} has {len(row)} cells, {some(row, 3)}, but its header has "
                f"{len(header)}: {some(header)}."
            )
    if not rows:
        raise DataError(f"{path} has no rows.")
    if twice := [name for name in header if header.count(name) > 1]:
        raise DataError(f"{path} has the column {twice[0]!r} twice. Rename one.")
    cells = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    return Table(path, dict(zip(header, cells, strict=True)))


def _celeba(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of list_attr_celeba.txt, or of a list of files and splits without header."""
    rows = [line.split() for line in lines]
    if len(rows) > 1 and len(rows[0]) == 1 and rows[0][0].isdecimal():
        return ["image_id", *rows[1]], rows[2:]
    return ["image_id", "partition"], rows


def some(names: Sequence[str], most: int = 12) -> str:
    """The first few names, for a message."""
    rest = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {rest} more" if rest > 0 else "")
