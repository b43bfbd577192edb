"""Tables independent of the medium: what cells contain, not how they are drawn.

Rows have a name and a cell for each column except the first. `console.tables` draws a table in a
terminal, the macro in `html/table.html.jinja` on a page, and `markdown` in a file.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from explaindebug.core import wording
from explaindebug.evaluation.results import Verdict

RANK = {"doesn't": 0, "can't tell": 1, "shows": 2}


@dataclass(frozen=True)
class Cell:
    """Content of one cell."""

    text: str = wording.NOTHING
    note: str = ""  # after the text; left out if space is short
    order: float | None = None  # sort key, if it is a number
    answer: str = ""  # "shows", "doesn't" or "can't tell", before the text
    why: str = ""  # details, as a tooltip
    strong: bool = False

    @property
    def full(self) -> str:
        """Text with note."""
        return f"{self.text} {self.note}" if self.note else self.text


@dataclass(frozen=True)
class Column:
    """Heading of a column, and how its cells are typeset."""

    name: str
    meaning: str = ""  # explanation, as a tooltip
    group: str = ""  # heading that it shares with its neighbours
    method: str = ""  # method of these numbers, if methods are columns
    word: bool = False  # left-aligned like words; else right-aligned like numbers
    wide: bool = False  # left out if space is short
    first: bool = False  # whether it is the first of its group
    aside: bool = False  # only there to help interpret the others


@dataclass(frozen=True)
class Row:
    """A row; if it has fewer cells than there are columns, the last one spans the rest."""

    name: str
    cells: Sequence[Cell]
    method: str = ""  # method of these numbers, if methods are rows


@dataclass(frozen=True)
class Table:
    """A caption, columns (the first for the rows' names), rows, and an optional footer."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    foot: Row | None = None

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Group headings and their widths, without the first column; empty without groups."""
        names = [column.group for column in self.columns[1:]]
        return [(name, len(list(own))) for name, own in groupby(names)] if any(names) else []

    def narrow(self) -> "Table":
        """Without wide columns, and without rows that have fewer cells than columns."""
        return self._only(lambda column: not column.wide)

    def of(self, groups: Collection[str]) -> "Table":
        """The columns of these groups; "" selects columns without a group."""
        return self._only(lambda column: column.group in groups)

    def parts(self, widest: int) -> list["Table"]:
        """Tables of at most `widest` columns of numbers; groups are not split.

        The first also has the columns without a group.
        """
        packed: list[list[str]] = [[""]]
        sizes = [0]
        for name, count in self.groups:
            if name and sizes[-1] and sizes[-1] + count > widest:
                packed.append([])
                sizes.append(0)
            if name:
                packed[-1].append(name)
                sizes[-1] += count
        return [self.of(own) for own in packed]

    def _only(self, wanted: Callable[[Column], bool]) -> "Table":
        places = [k for k, column in enumerate(self.columns[1:]) if wanted(column)]
        columns = [self.columns[0], *(self.columns[k + 1] for k in places)]
        whole = [row for row in self.rows if len(row.cells) == len(self.columns) - 1]
        rows = [_some(row, places) for row in whole]
        return Table(self.caption, columns, rows, self.foot and _some(self.foot, places))


def number(value: float, digits: int = 2) -> Cell:
    """`0.42`."""
    return Cell(wording.num(value, digits), order=_order(value))


def signed(value: float) -> Cell:
    """`+0.42`."""
    return Cell(wording.signed(value), order=_order(value))


def interval(ends: tuple[float, float]) -> Cell:
    """`[0.36, 0.47]`."""
    return Cell(wording.interval(ends), order=_order(ends[0]))


def pvalue(p: float) -> Cell:
    """`0.012`."""
    return Cell(wording.pvalue(p), order=_order(p))


def mean_sd(mean: float, sd: float) -> Cell:
    """`0.93 ± 0.02`, over several runs."""
    return Cell(wording.mean_sd(mean, sd), order=_order(mean))


def mean_sem(mean: float, sem: float, missing: int = 0) -> Cell:
    """`0.83 ± 0.013 (2 NaN)` over inputs; a terminal shows only the mean."""
    error = "" if math.isnan(sem) else f"±{wording.NO_BREAK}{wording.error(sem)}"
    lost = f"({missing} NaN)" if missing else ""
    return Cell(wording.fine(mean), f"{error} {lost}".strip(), _order(mean))


def between(ends: tuple[float, float] | None) -> Cell:
    """`0.73 to 0.99`."""
    return Cell() if ends is None else Cell(" to ".join(map(wording.fine, ends)))


def answer(verdict: Verdict | None, text: str = "", note: str = "") -> Cell:
    """A verdict, optionally with text and a note."""
    if verdict is None:
        return Cell()
    return Cell(text, note, rank(verdict), verdict.answer, verdict.reason)


def rank(verdict: Verdict) -> float:
    """Sort key: by answer, then by effect."""
    return RANK[verdict.answer] * 1000 + (0 if math.isnan(verdict.effect) else verdict.effect)


def methods(names: Mapping[str, str], cells: Callable[[str], Sequence[Cell]]) -> list[Row]:
    """A row per method."""
    return [Row(name, cells(method), method) for method, name in names.items()]


def _some(row: Row, places: Sequence[int]) -> Row:
    return replace(row, cells=[row.cells[k] for k in places])


def _order(value: float) -> float | None:
    return None if math.isnan(value) else value
