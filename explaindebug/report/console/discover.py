"""The answer to a search for shortcuts in a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from explaindebug.evaluation.results import RunResult
from explaindebug.evaluation.suspects import Fact, Suspect
from explaindebug.report.console.tables import drawn, plainly, print_refused
from explaindebug.report.discover import caution, facts_table, in_short, suspects_table


def print_discovered(
    result: RunResult,
    suspects: Sequence[Suspect],
    facts: Sequence[Fact],
    masked: bool,
    refused: Mapping[str, str],
    console: Console | None = None,
) -> None:
    """Print which regions a network relies on, what goes with its classes, what was left out."""

    def draw(where: Console) -> None:
        where.print(Text(f"\n{in_short(suspects, masked=masked)}\n", style="bold"))
        if suspects:
            table = suspects_table(suspects, result.methods, masked=masked)
            where.print(drawn(table.of([""])))
        if facts:
            where.print(drawn(facts_table(facts)))
        print_refused(where, refused)
        where.print(Text(caution(masked=masked)), soft_wrap=True)

    plainly(console, draw)
