"""Tables (`report.table`) and code as Markdown."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from explaindebug.core.wording import NO_BREAK
from explaindebug.report.table import Cell, Column, Table

BAR = r"\|"  # an escaped bar inside a cell, also in code spans


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield f"| {' | '.join(map(_inside, head))} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_inside, row))} |"
    yield ""


def lines(table: Table) -> Iterator[str]:
    """The lines of a table; the name of a group of columns is part of its first heading."""
    rows = [[row.name, *map(_said, row.cells)] for row in table.rows]
    if table.foot:
        rows.append([f"*{_small(table.foot.name)}*", *map(_said, table.foot.cells)])
    return grid([table.columns[0].name, *map(_head, table.columns[1:])], rows)


def code(text: str) -> str:
    """The text in a code span, unchanged: the fence has a length that no run of backticks has."""
    runs = {len(run) for run in re.findall("`+", text)}
    fence = "`" * next(n for n in count(1) if n not in runs)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _head(column: Column) -> str:
    name = _small(column.name)
    return f"{column.group}: {name}" if column.first else name


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _said(cell: Cell) -> str:
    return f"{cell.answer} {cell.full}".strip().replace(NO_BREAK, " ")


def _inside(text: str) -> str:
    return text.replace("|", BAR)
