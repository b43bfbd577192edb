"""Answers to further questions about a bug as a small table in a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from explaindebug.core import wording
from explaindebug.evaluation.results import RunResult, TestResult, Verdict
from explaindebug.report.console.verdicts import ASCII, SIGNS, STYLES


def print_questions(
    result: RunResult, answers: Sequence[Verdict], console: Console | None = None
) -> None:
    """Print methods × questions of each test that asks any, `answers` as `followup` gives them."""
    console = console or Console()
    said: set[str] = set()  # several settings of one test ask the same
    for test in result.tests:
        own = {(v.condition, v.method): v for v in answers if v.test == test.name}
        if test.questions and own:
            new = [q.question for q in test.questions if q.question not in said]
            said.update(new)
            console.print()
            for question in new:
                console.print(Text(question), soft_wrap=True)
            _print(result, test, own, console)


def _print(
    result: RunResult, test: TestResult, own: dict[tuple[str, str], Verdict], console: Console
) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text(test.title))
    for question in test.questions:
        table.add_column(Text(question.column), no_wrap=True)
    plain = not console.encoding.startswith("utf")
    for method, name in test.lines(result.methods).items():
        cells = [_cell(own.get((q.condition, method)), plain) for q in test.questions]
        table.add_row(Text(name), *cells)
    console.print(table)


def _cell(verdict: Verdict | None, plain: bool) -> Text:
    if verdict is None:
        return Text("-", style="dim")
    word = f"{SIGNS[verdict.answer]} {verdict.answer:<10} "
    effect = wording.signed(verdict.effect)
    if plain:
        word, effect = word.translate(ASCII), effect.translate(ASCII)
    return Text.assemble((word, STYLES[verdict.answer]), effect)
