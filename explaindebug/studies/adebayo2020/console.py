"""The paper's table in a terminal: its numbers, ours, control and matched null."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from explaindebug.core import wording
from explaindebug.report.console.tables import drawn, plainly
from explaindebug.studies.adebayo2020.claims import Finding
from explaindebug.studies.adebayo2020.entry import Entry, parts

STYLED = {"Paper": "cyan", "Ours": "bold"}
READING = (
    "Paper: as printed. Control: the same without the bug. Noise, shuffled: maps unrelated to "
    "the network, after the same post-processing. With errors: paper.md, paper.csv."
)


def print_paper(entry: Entry, console: Console | None = None) -> None:
    """Print tables of means, one per comparison or pair of them, as wide as the terminal."""
    if entry.table is not None:
        plainly(console, lambda where: _print(entry, where))


def print_claims(found: Sequence[Finding], console: Console | None = None) -> None:
    """Print the judgement of each of the paper's claims by each run."""
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
    console.print(Text(f"\n{entry.experiment.title}", style="bold"))
    for part in parts(entry):
        for name in dict.fromkeys(column.group for column in part.columns if column.group):
            console.print()
            console.print(drawn(part.of((name, "")), name, STYLED))
    console.print(Text(READING))
