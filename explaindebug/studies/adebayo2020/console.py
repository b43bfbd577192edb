"""The paper's table in a terminal: theirs, ours, and beside it control and matched null."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from explaindebug.core import wording
from explaindebug.report.beside import OURS, PAPER, Column, Number
from explaindebug.report.console.verdicts import ASCII, SIGNS, STYLES
from explaindebug.studies.adebayo2020.claims import Finding
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.judging import number
from explaindebug.studies.adebayo2020.markdown import parts

HEADS = {PAPER: "paper", OURS: "ours", "Control": "control", "Null: noise": "noise"}
STYLED = {PAPER: "cyan", OURS: "bold"}


def print_paper(entry: Entry, console: Console | None = None) -> None:
    """Print a table per comparison or pair of them, as wide as the terminal; means alone."""
    console = console or Console()
    if console.encoding.startswith("utf"):
        return _print(entry, console)
    with console.capture() as printed:
        _print(entry, console)
    text = printed.get().translate(ASCII)
    console.file.write(text.encode(console.encoding, "replace").decode(console.encoding))


def print_claims(found: Sequence[Finding], console: Console | None = None) -> None:
    """Print what each run says of each of the paper's claims."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "the paper's claim", "run", "as measured", "against control, null"):
        table.add_column(name, overflow="fold")
    before = 0
    for one in found:
        new = one.claim.number != before
        before = one.claim.number
        run = one.entry.label if one.entry else wording.NOTHING
        start = (str(before), one.claim.statement) if new else ("", "")
        table.add_row(*map(Text, (*start, run, one.measured.answer, one.beyond.answer)))
    (console or Console()).print(table)


def _print(entry: Entry, console: Console) -> None:
    if entry.table is None:
        return
    console.print(Text(f"\n{entry.experiment.title}", style="bold"))
    answered = {column.name for column in parts(entry.table.columns)[0]}  # as in paper.md
    for name in entry.table.comparisons:
        columns = [column for column in entry.table.columns if column.name == name]
        console.print(_table(entry, name, columns, answered=name in answered))
    console.print(
        Text(
            "paper: as printed. control: the same without the bug. noise, shuffled: maps that know "
            "nothing of the network, after the same post-processing. With errors: paper.md, "
            "paper.csv."
        )
    )


def _table(entry: Entry, name: str, columns: list[Column], *, answered: bool) -> Table:
    assert entry.table is not None
    table = Table(title=Text(name), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Method", no_wrap=True)
    for column in columns:
        head = HEADS.get(column.arm, column.arm.removeprefix("Null: "))
        table.add_column(head, justify="right", style=STYLED.get(column.arm, "dim"))
    words = _words(entry) if answered else {}
    for head in words:
        table.add_column(head, no_wrap=True)
    places = [entry.table.columns.index(column) for column in columns]
    for method, row in entry.table.rows.items():
        cells = [_cell(row[place]) for place in places]
        said = [found.get(method, Text(wording.NOTHING)) for found in words.values()]
        table.add_row(Text(entry.names[method]), *cells, *said)
    ends = [entry.table.ranges[place] for place in places]
    spread = [f"{number(e[0])} to {number(e[1])}" if e else wording.NOTHING for e in ends]
    table.add_section()
    table.add_row("all methods", *spread)
    return table


def _cell(x: Number | None) -> str:
    return wording.NOTHING if x is None else number(x.mean)


def _words(entry: Entry) -> dict[str, Mapping[str, Text]]:
    """Columns of words by method: the run's verdict, and what the paper says."""
    signs = {
        m: Text(f"{SIGNS[v.answer]} {v.answer}", STYLES[v.answer])
        for m, v in entry.verdicts.items()
    }
    papers = {m: Text(word) for m, word in (entry.table.words if entry.table else {}).items()}
    return {head: found for head, found in (("shows it?", signs), ("paper says", papers)) if found}
