"""The answer to a check in a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from explaindebug.evaluation.fitness import Fitness
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.report.check import fit_table, in_short, reliance
from explaindebug.report.console.tables import drawn, plainly, print_refused, print_warnings


def print_check(
    result: RunResult,
    verdicts: Sequence[Verdict],
    fitness: Sequence[Fitness],
    refused: Mapping[str, str],
    relied: Verdict | None = None,
    console: Console | None = None,
) -> None:
    """Print which methods can be read, each with its reason, and what was left out."""

    def draw(where: Console) -> None:
        where.print(Text(f"\n{in_short(result, fitness)}\n", style="bold"))
        where.print(drawn(fit_table(result, verdicts, fitness, refused, effects=False)))
        where.print()
        for one in fitness:
            said = f"{result.methods[one.method]}: {one.fit}. {one.reason}"
            where.print(Text(said), soft_wrap=True)
        print_refused(where, refused)
        if said := reliance(relied):
            where.print(Text(said), soft_wrap=True)
        print_warnings(where, (w for test in result.tests for w in test.warnings))

    plainly(console, draw)
