"""A table once for all media: what its cells say, not how a terminal or a page draws them.

Rows have a name and a cell for each column but the first. `console.tables` draws a table in a
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
    """What stands in one field."""

    text: str = wording.NOTHING
    note: str = ""  # smaller, behind it; left out where lines are short
    order: float | None = None  # by which a column is sorted, where it is a number
    answer: str = ""  # "shows", "doesn't" or "can't tell", before the text
    why: str = ""  # for whoever asks more
    strong: bool = False

    @property
    def full(self) -> str:
        """Text and note."""
        return f"{self.text} {self.note}" if self.note else self.text


@dataclass(frozen=True)
class Column:
    """A column's head, and how its cells are set."""

    name: str
    meaning: str = ""  # for whoever asks more
    group: str = ""  # what it has in common with its neighbours: a heading above theirs
    method: str = ""  # whose numbers these are, where methods are columns
    word: bool = False  # at the left, as words are; else at the right, as numbers are
    wide: bool = False  # left out where lines are short
    first: bool = False  # of its group
    aside: bool = False  # only helps to read the others


@dataclass(frozen=True)
class Row:
    """A line; where it has fewer cells than columns, the last one goes on to the end."""

    name: str
    cells: Sequence[Cell]
    method: str = ""  # whose numbers these are, where methods are rows


@dataclass(frozen=True)
class Table:
    """A caption, columns (the first has the rows' names), rows, and perhaps a last one below."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    foot: Row | None = None

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings above neighbouring columns but the first, and of how many; none without any."""
        names = [column.group for column in self.columns[1:]]
        return [(name, len(list(own))) for name, own in groupby(names)] if any(names) else []

    def narrow(self) -> "Table":
        """Without what is left out where lines are short, and without rows of fewer cells."""
        return self._only(lambda column: not column.wide)

    def of(self, groups: Collection[str]) -> "Table":
        """The columns of these groups; "" is for those that belong to none."""
        return self._only(lambda column: column.group in groups)

    def parts(self, widest: int) -> list["Table"]:
        """Tables of at most so many columns of numbers, each group in one piece.

        The first has what belongs to no group, too.
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
    """`0.93 ± 0.02`, of several runs."""
    return Cell(wording.mean_sd(mean, sd), order=_order(mean))


def mean_sem(mean: float, sem: float, missing: int = 0) -> Cell:
    """`0.83 ± 0.013 (2 NaN)` over inputs; a terminal has the mean alone."""
    error = "" if math.isnan(sem) else f"±{wording.NO_BREAK}{wording.error(sem)}"
    lost = f"({missing} NaN)" if missing else ""
    return Cell(wording.fine(mean), f"{error} {lost}".strip(), _order(mean))


def between(ends: tuple[float, float] | None) -> Cell:
    """`0.73 to 0.99`."""
    return Cell() if ends is None else Cell(" to ".join(map(wording.fine, ends)))


def answer(verdict: Verdict | None, text: str = "", note: str = "") -> Cell:
    """A verdict, with something beside it."""
    if verdict is None:
        return Cell()
    return Cell(text, note, rank(verdict), verdict.answer, verdict.reason)


def rank(verdict: Verdict) -> float:
    """In the order of answers, and within each in that of the effects."""
    return RANK[verdict.answer] * 1000 + (0 if math.isnan(verdict.effect) else verdict.effect)


def methods(names: Mapping[str, str], cells: Callable[[str], Sequence[Cell]]) -> list[Row]:
    """A row for each method."""
    return [Row(name, cells(method), method) for method, name in names.items()]


def _some(row: Row, places: Sequence[int]) -> Row:
    return replace(row, cells=[row.cells[k] for k in places])


def _order(value: float) -> float | None:
    return None if math.isnan(value) else value
