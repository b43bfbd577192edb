"""Tables (`report.table`) in a terminal, and the signs used in them."""

from collections.abc import Callable, Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from explaindebug.report.table import Cell, Row, Table

STYLES = {"shows": "bold green", "doesn't": "yellow", "can't tell": "dim"}
SIGNS = {"shows": "●", "doesn't": "○", "can't tell": "?"}
ASCII = str.maketrans(
    {"●": "+", "○": "-", "−": "-", "–": "-", "≥": ">=", "≤": "<=", "±": "+/-", "\u00a0": " "}
)
PLAIN: Mapping[str, str] = {}


def plainly(console: Console | None, draw: Callable[[Console], None]) -> None:
    """Draw, with ASCII signs if the terminal can't show the others."""
    console = console or Console()
    if console.encoding.startswith("utf"):
        return draw(console)
    with console.capture() as printed:
        draw(console)
    text = printed.get().translate(ASCII)
    console.file.write(text.encode(console.encoding, "replace").decode(console.encoding))


def print_refused(console: Console, refused: Mapping[str, str]) -> None:
    """Print the methods that were left out, each with the reason."""
    for method, why in refused.items():
        console.print(Text(f"{method}: refused. {why}"), soft_wrap=True)


def print_warnings(console: Console, sentences: Iterable[str]) -> None:
    """Print warnings, labelled as such."""
    for sentence in sentences:
        console.print(Text.assemble(("warning  ", "yellow"), sentence), soft_wrap=True)


def drawn(table: Table, title: str = "", styles: Mapping[str, str] = PLAIN) -> Drawn:
    """The table in its narrow form; numbers wrap, words don't.

    Wide columns, notes, and rows without a cell for each column are left out. `styles` are given by
    the columns' names.
    """
    table = table.narrow()
    made = Drawn(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    made.pad_edge, made.show_edge = False, False
    lines = [_line(row) for row in table.rows]
    for k, column in enumerate(table.columns):
        word = k == 0 or column.word
        widths = [line[k].cell_len for line in lines] if word else []
        made.add_column(
            Text(column.name),
            justify="left" if word else "right",
            style=styles.get(column.name, "dim" if column.aside else ""),
            min_width=max([*map(len, column.name.split()), *widths], default=0),
        )
    for line in lines:
        made.add_row(*line)
    if table.foot:
        made.add_section()
        made.add_row(*_line(table.foot))
    return made


def _line(row: Row) -> list[Text]:
    return [Text(row.name), *map(_field, row.cells)]


def _field(cell: Cell) -> Text:
    if not cell.answer:
        return Text(cell.text)
    word = f"{SIGNS[cell.answer]} {cell.answer}"
    word = f"{word:<12} " if cell.text else word
    return Text.assemble((word, STYLES[cell.answer]), cell.text)
