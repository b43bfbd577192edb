"""Which methods can be read on one network, as a table and in words."""

from collections.abc import Mapping, Sequence

from explaindebug.core import wording
from explaindebug.evaluation.fitness import Fitness
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.report import table as tables
from explaindebug.report.table import Cell, Column, Row, Table

ORDER = {"not fit": 0, "can't tell": 1, "fit": 2}


def fit_table(
    result: RunResult,
    verdicts: Sequence[Verdict],
    fitness: Sequence[Fitness],
    refused: Mapping[str, str],
    *,
    effects: bool = True,
) -> Table:
    """A row per method: whether it can be read, and its answer to every question.

    With `effects`, answers come with their size.

    Rows without an answer of their own, such as the edge detector's, come last.
    """
    questions = [test for test in result.tests if not test.rows]
    cells = {(v.test, v.method): v for v in verdicts}

    def answers(method: str) -> list[Cell]:
        own = [cells.get((test.name, method)) for test in questions]
        return [tables.answer(v, wording.signed(v.effect) if v and effects else "") for v in own]

    rows = []
    for one in fitness:
        fit = Cell(one.fit, order=ORDER[one.fit], why=one.reason, strong=True)
        rows.append(Row(result.methods[one.method], [fit, *answers(one.method)], one.method))
    beside = [name for name in result.methods if name not in {one.method for one in fitness}]
    rows += [Row(result.methods[m], [Cell(), *answers(m)], m) for m in beside]
    blank = [Cell()] * len(questions)
    rows += [Row(m, [Cell("refused", why=why), *blank]) for m, why in refused.items()]
    columns = [
        Column("Method"),
        Column("To be read?", "fit: depends on class, weights and input, and is stable", word=True),
        *[Column(t.headline.column, t.headline.question, word=True) for t in questions],
    ]
    return Table("Which maps can be read on this network", columns, rows)


def in_short(result: RunResult, fitness: Sequence[Fitness]) -> str:
    """Which methods are fit, in a sentence."""
    fit = [result.methods[one.method] for one in fitness if one.fit == "fit"]
    unfit = [result.methods[one.method] for one in fitness if one.fit == "not fit"]
    if fit:
        said = f"{wording.listed(fit)} {_be(fit)} fit to be read on this network"
        return f"{said}; {wording.listed(unfit)} {_be(unfit)} not." if unfit else f"{said}."
    if unfit:
        return f"No method is found fit to be read; {wording.listed(unfit)} {_be(unfit)} not."
    return "No method can be judged on this network with these inputs."


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def reliance(verdict: Verdict | None) -> str:
    """Whether the network relies on the object, in a sentence; empty if that was not asked."""
    if verdict is None:
        return ""
    said = {
        "shows": "The network relies on the object",
        "doesn't": "The network hardly relies on the object",
        "can't tell": "Whether the network relies on the object is open",
    }[verdict.answer]
    return (
        f"{said}: without it, its class loses {wording.num(verdict.bug)} of probability, and "
        f"{wording.num(verdict.control)} without as much of the picture elsewhere."
    )
