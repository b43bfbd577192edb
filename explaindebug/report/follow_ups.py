"""Answers to a test's further questions as a table: methods × questions."""

from collections.abc import Mapping, Sequence

from explaindebug.core import wording
from explaindebug.evaluation.multirun.pooling import Several
from explaindebug.evaluation.results import Headline, TestResult, Verdict
from explaindebug.report import phrases
from explaindebug.report import table as tables
from explaindebug.report.table import Cell, Column, Table


def asked(test: TestResult, further: Sequence[Verdict]) -> dict[str, Headline]:
    """The test's questions that are answered in `further`, by their short names."""
    answered = {v.condition for v in further if v.test == test.name}
    own = [q for q in test.questions if q.condition in answered]
    return {q.column: q for q in own}


def answers(
    test: TestResult, names: Mapping[str, str], further: Sequence[Verdict], several: Several
) -> Table:
    """Each method's answers, with the spread if there are several runs."""
    questions = asked(test, further)
    own = {(v.condition, v.method): v for v in further if v.test == test.name}

    def cell(condition: str, method: str) -> Cell:
        verdict = own.get((condition, method))
        if verdict is None:
            return Cell()
        each = several.answers.get((test.name, condition, method), ())
        spread = f"\n{phrases.spread(verdict, each)}" if each else ""
        note = wording.interval(verdict.interval) + spread
        return tables.answer(verdict, wording.signed(verdict.effect), note)

    return Table(
        "Effects with their intervals",
        [
            Column(wording.capital(test.layout.rows_are)),
            *(Column(name, word=True) for name in questions),
        ],
        tables.methods(names, lambda m: [cell(q.condition, m) for q in questions.values()]),
    )
