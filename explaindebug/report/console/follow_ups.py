"""Answers to further questions about a bug as a small table in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from explaindebug.evaluation.multirun.pooling import Several
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.report.console.tables import drawn, plainly
from explaindebug.report.follow_ups import answers, asked


def print_questions(
    result: RunResult, further: Sequence[Verdict], console: Console | None = None
) -> None:
    """Print methods × questions for each test that asks any; `further` are their answers."""
    plainly(console, lambda where: _print(result, further, where))


def _print(result: RunResult, further: Sequence[Verdict], console: Console) -> None:
    said: set[str] = set()  # several settings of one test ask the same questions
    for test in result.tests:
        questions = [question.question for question in asked(test, further).values()]
        if questions:
            console.print()
            for question in [question for question in questions if question not in said]:
                console.print(Text(question), soft_wrap=True)
            said.update(questions)
            table = answers(test, test.lines(result.methods), further, Several())
            console.print(drawn(table, test.title))
