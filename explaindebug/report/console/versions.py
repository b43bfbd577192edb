"""The answer to a comparison of two versions in a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.evaluation.version_changes import Change, Compared
from explaindebug.report.console.tables import drawn, plainly, print_refused, print_warnings
from explaindebug.report.versions import change_table, changed_answers, in_short, input_table


def print_versions(
    result: RunResult,
    verdicts: Sequence[Verdict],
    changes: Sequence[Change],
    inputs: Sequence[Compared],
    refused: Mapping[str, str],
    seeds: int = 0,
    console: Console | None = None,
) -> None:
    """Print what each method says with its reason, the inputs that differ most, and warnings."""

    def draw(where: Console) -> None:
        where.print(Text(f"\n{in_short(result, changes, inputs, seeds)}\n", style="bold"))
        where.print(drawn(change_table(result, verdicts, changes, refused)))
        where.print()
        for one in changes:
            said = f"{result.methods[one.method]}: {one.reasons}. {one.why}"
            where.print(Text(said), soft_wrap=True)
        print_refused(where, refused)
        for table in (input_table(inputs, 5), changed_answers(inputs, 5)):
            if table.rows:
                where.print()
                where.print(drawn(table, table.caption))
        print_warnings(
            where, (*result.warnings, *(w for test in result.tests for w in test.warnings))
        )

    plainly(console, draw)
