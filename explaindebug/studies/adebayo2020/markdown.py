"""Tables and lists as Markdown."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from explaindebug.core import wording
from explaindebug.evaluation.results import Verdict
from explaindebug.report.beside import ArmTable, Column, Number
from explaindebug.studies.adebayo2020.judging import number

BAR = r"\|"  # a bar in a cell that does not end it, in code spans, too
WIDEST = 10  # columns of numbers side by side


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |"
    yield ""


def code(text: str) -> str:
    """The text in a code span, as it is: its fence has more backticks than any run inside."""
    runs = {len(run) for run in re.findall("`+", text)}
    fence = "`" * next(n for n in count(1) if n not in runs)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def tables(
    table: ArmTable, names: Mapping[str, str], verdicts: Mapping[str, Verdict]
) -> Iterator[str]:
    """The paper's table, in parts where it is wide; verdicts stand in the first."""
    for k, part in enumerate(parts(table.columns)):
        places = [table.columns.index(column) for column in part]
        words = _words(table, verdicts) if k == 0 else {}
        head = ["Method", *map(heading, part), *words]
        rows = [
            [names[m], *(cell(row[p]) for p in places), *(w.get(m, "") for w in words.values())]
            for m, row in table.rows.items()
        ]
        ends = [between(table.ranges[p]) for p in places]
        yield from grid(head, [*rows, ["*all methods*", *ends, *[""] * len(words)]])


def parts(columns: Sequence[Column]) -> list[list[Column]]:
    """The columns in groups that are not too wide, each comparison in one piece."""
    found: list[list[Column]] = []
    for name in dict.fromkeys(column.name for column in columns):
        own = [column for column in columns if column.name == name]
        if found and len(found[-1]) + len(own) <= WIDEST:
            found[-1] += own
        else:
            found.append(own)
    return found


def heading(column: Column) -> str:
    """`GT-1, SSIM: paper`, and for what stands beside it only `control`."""
    arm = column.arm[:1].lower() + column.arm[1:]
    return f"{column.name}: {arm}" if column.first else arm


def cell(x: Number | None) -> str:
    """`0.83 ± 0.013`, with how many inputs have no score."""
    if x is None or math.isnan(x.mean):
        return wording.NOTHING
    error = "" if math.isnan(x.sem) else f" ± {sem(x.sem)}"
    return f"{number(x.mean)}{error}{f' ({x.missing} NaN)' if x.missing else ''}"


def sem(value: float) -> str:
    """An error with two digits that count, and at least three behind the point."""
    return wording.num(value, 3 if value >= 0.00995 or value == 0 else 4)


def between(ends: tuple[float, float] | None) -> str:
    """`0.73 to 0.99`."""
    return wording.NOTHING if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _words(table: ArmTable, verdicts: Mapping[str, Verdict]) -> dict[str, Mapping[str, str]]:
    """Columns of words: what the paper says of a method, and our verdict."""
    found: dict[str, Mapping[str, str]] = {"paper says": table.words} if table.words else {}
    if verdicts:
        found["shows the bug?"] = {m: v.answer for m, v in verdicts.items()}
    return found
