"""A test's scores as a table of its arms, next to published numbers."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np

from explaindebug.core import wording
from explaindebug.evaluation.nulls import is_matched
from explaindebug.evaluation.results import Layout, TestResult, Verdict
from explaindebug.evaluation.roles import NULL, Role, null_role
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.similarities import family
from explaindebug.evaluation.similarities.labels import registered
from explaindebug.evaluation.summary import Summary, summarise
from explaindebug.report import table as tables
from explaindebug.report.table import Cell, Table

SIMILARITIES = {"ssim": "SSIM", "spearman": "Rank correlation"}  # as named in the paper
PAPER, OURS, BUG, CONTROL = "Paper", "Ours", "Bug", "Control"
NONE: Mapping[str, Verdict] = {}
SHOWN = {"gaussian": "Null: noise", "shuffled": "Null: shuffled"}  # these, or else the first null


Comparison = tuple[str, str]  # condition and similarity, as in scores


class Published(Protocol):
    """Published numbers of a table that a test reproduces."""

    @property
    def test(self) -> str:
        """The test's name."""

    @property
    def methods(self) -> Sequence[str]:
        """The published methods, in their order."""

    @property
    def numbers(self) -> Mapping[Comparison, Mapping[str, tuple[float, float | None]]]:
        """Mean and standard error by method; None for an error missing in print."""

    @property
    def ranges(self) -> Mapping[Comparison, tuple[float, float]]:
        """Lowest and highest mean over all methods, if only these are printed."""

    @property
    def words(self) -> Mapping[str, str]:
        """What the publication says about each method in words."""


class Number(NamedTuple):
    """A mean over inputs; NaN for anything that is not known."""

    mean: float
    sem: float = math.nan
    low: float = math.nan  # 95 % interval
    high: float = math.nan
    n: int = 0
    missing: int = 0  # inputs without a score

    @classmethod
    def of(cls, summary: Summary) -> "Number":
        """The part of a summary that tables need."""
        return cls(*(getattr(summary, name) for name in cls._fields))


class Column(NamedTuple):
    """A column of a table: one arm of one comparison."""

    name: str  # "GT-1, SSIM"
    arm: str  # "Paper", "Ours", "Control", "Null: noise"
    comparison: Comparison  # condition and similarity
    first: bool  # whether it is the first column of its comparison

    @property
    def beside(self) -> bool:
        """Whether it is only there to help interpret the others."""
        return self.arm not in (PAPER, OURS, BUG)


@dataclass(frozen=True)
class ArmTable:
    """Means ± standard errors: a row per method, the arms of each comparison side by side."""

    caption: str
    columns: Sequence[Column]
    rows: Mapping[str, Sequence[Number | None]]  # by method, a cell per column
    printed: Mapping[Column, tuple[float, float]] = field(default_factory=dict)  # ranges in paper
    words: Mapping[str, str] = field(default_factory=dict)  # method -> what the paper says about it
    rows_are: str = "method"  # what the rows are where not methods, see `Layout`

    @property
    def ranges(self) -> list[tuple[float, float] | None]:
        """Lowest and highest mean over all methods, a pair per column."""
        return [self._range(k, column) for k, column in enumerate(self.columns)]

    def _range(self, k: int, column: Column) -> tuple[float, float] | None:
        if column in self.printed:
            return self.printed[column]
        means = [row[k].mean for row in self.rows.values() if row[k] is not None]  # type: ignore[union-attr]
        means = [mean for mean in means if not math.isnan(mean)]
        return (min(means), max(means)) if means else None

    def table(self, names: Mapping[str, str], verdicts: Mapping[str, Verdict] = NONE) -> Table:
        """As a table: the arms of each comparison side by side, then words and verdicts."""
        heads = [
            tables.Column(c.arm, group=c.name, first=c.first, aside=c.beside) for c in self.columns
        ]
        said: dict[str, Callable[[str], Cell]] = {}
        if self.words:
            said["Paper says"] = lambda method: Cell(self.words[method])
        if verdicts:
            said["Shows the bug?"] = lambda method: tables.answer(verdicts.get(method))
        rows = tables.methods(
            {method: names[method] for method in self.rows},
            lambda m: [*map(_cell, self.rows[m]), *(word(m) for word in said.values())],
        )
        ends = [*map(tables.between, self.ranges), *[Cell("")] * len(said)]
        columns = [
            tables.Column(wording.capital(self.rows_are)),
            *heads,
            *(tables.Column(w, word=True) for w in said),
        ]
        caption = f"{self.caption}. Mean ± standard error over inputs."
        return Table(caption, columns, rows, tables.Row("All methods", ends))

    def column(self, arm: str, comparison: Comparison) -> dict[str, Number]:
        """One arm of one comparison, by method; empty if it is missing."""
        places = [
            k for k, c in enumerate(self.columns) if (c.arm, c.comparison) == (arm, comparison)
        ]
        return {m: row[k] for k in places for m, row in self.rows.items() if row[k] is not None}  # type: ignore[misc]


def arm_table(
    test: TestResult, names: Mapping[str, str], published: Published | None = None
) -> ArmTable | None:
    """The test's table, next to published numbers if they are given.

    None if nothing was measured. Several networks of one arm are averaged per input.
    """
    compared = staged(test) | comparisons(test)
    if not compared:
        return None
    wanted = Scores()
    for key, column in pooled(test.scores.select(test=test.name)):
        if (key.condition, key.similarity) in compared:
            wanted.add(key, *column)
    found = {Key(*line[:5]): Number.of(line) for line in summarise(wanted)}
    roles = _roles(wanted, OURS if published else BUG)
    columns, cells = list(_columns(compared, roles, published, test.stages)), {}
    for method in _order(wanted, names, published):
        own = names[method]
        cells[method] = [
            _printed(published, column.comparison, own)
            if column.arm == PAPER
            else found.get(_key(test, method, column, roles))
            for column in columns
        ]
    ranges = published.ranges if published else {}
    words = published.words if published else {}
    return ArmTable(
        test.layout.caption,
        columns,
        cells,
        {
            column: ranges[_plain(column.comparison)]
            for column in columns
            if column.arm == PAPER and _plain(column.comparison) in ranges
        },
        {method: words.get(names[method], "") for method in cells} if words else {},
        test.layout.rows_are,
    )


def comparisons(test: TestResult) -> dict[Comparison, str]:
    """(condition, similarity) -> its name in the table, excluding the stages of a cascade."""
    wanted, named = test.layout.similarities, test.layout.conditions
    own = test.scores.select(test=test.name, role="bug")
    keys = [key for key, _ in own if key.condition not in test.stages]
    conditions = list(dict.fromkeys(key.condition for key in keys))
    found = {}
    for condition, name in product(conditions, wanted):
        for key in keys:
            if (key.condition, registered(key.similarity)) == (condition, name):
                label = SIMILARITIES.get(name, name) + key.similarity.removeprefix(name)
                several = len(conditions) > 1 or bool(test.stages)
                where = f"{named.get(condition, condition)}, " * several
                found[condition, key.similarity] = where + label
    return found


def staged(test: TestResult) -> dict[Comparison, str]:
    """The same for a cascade: at its first stage, with half of the layers lost, and with all."""
    stages = list(test.stages)
    if not stages:
        return {}
    marks = dict.fromkeys((stages[0], half(stages), stages[-1]))
    similarities = dict.fromkeys(
        key.similarity
        for name in test.layout.similarities
        for key, _ in test.scores.select(test=test.name, role="bug")
        if key.condition in marks and _is(name, key.similarity)
    )
    return {
        (stage, similarity): f"{name}, {stages.index(stage) + 1} of {len(stages)} stages lost"
        for similarity in similarities
        for name in [_similarity(similarity, test.layout)]
        for stage in marks
    }


def half(stages: Sequence[str]) -> str:
    """The stage at which half of the layers are lost; the higher half in a top-down cascade."""
    return stages[(len(stages) + 1) // 2 - 1]


def pooled(scores: Scores) -> Scores:
    """Each arm's models ("control" and "control: 2") averaged per input."""
    models = defaultdict(list)
    for key, column in scores:
        role = key.role if key.arm == NULL else key.arm
        models[key._replace(role=role)].append(column)
    whole = Scores()
    for key, columns in models.items():
        rows = reduce(np.intersect1d, [column.rows for column in columns])
        values = [column.values[np.isin(column.rows, rows)] for column in columns]
        whole.add(key, rows, np.mean(values, axis=0))
    return whole


def _is(name: str, similarity: str) -> bool:
    """Whether it is the similarity of that name or a variant, such as `spearman_signed`."""
    return name in (registered(similarity), family(similarity))


def _similarity(similarity: str, layout: Layout) -> str:
    plain = next(name for name in layout.similarities if _is(name, similarity))
    return SIMILARITIES.get(plain, plain) + similarity.removeprefix(plain).replace("_", " ")


def _roles(scores: Scores, bug: str) -> dict[str, str]:
    """Maps roles in scores to arms in tables."""
    roles = [Role.of(role) for role in scores.unique("role")]
    kinds = [role.null for role in roles if role.arm == NULL]
    known = [kind for kind in SHOWN if kind in kinds]
    known = known or [kind for kind in kinds if is_matched(kind)][:1]
    shown = {null_role(kind): SHOWN.get(kind, f"Null: {kind}") for kind in known}
    return {"bug": bug, "control": CONTROL} | shown


def _columns(
    compared: Mapping[Comparison, str],
    roles: Mapping[str, str],
    published: Published | None,
    stages: Sequence[str],
) -> Iterator[Column]:
    """In a cascade, control and nulls appear once per similarity, at the stage with half lost."""
    for comparison, name in compared.items():
        apart = comparison[0] in stages and comparison[0] != half(stages)
        own = list(roles.values())[: 1 if apart else None]
        arms = [PAPER] * _prints(published, comparison) + own
        for k, arm in enumerate(arms):
            yield Column(name, arm, comparison, first=k == 0)


def _order(scores: Scores, names: Mapping[str, str], published: Published | None) -> list[str]:
    """The methods in the paper's order, then others; without a paper, in the order of `names`."""
    own = [m for m in names if m in scores.unique("method")]
    if published is None:
        return own
    theirs = list(published.methods)
    return sorted(own, key=lambda m: theirs.index(names[m]) if names[m] in theirs else len(theirs))


def _cell(x: Number | None) -> Cell:
    return tables.mean_sem(x.mean, x.sem, x.missing) if x else Cell()


def _key(test: TestResult, method: str, column: Column, roles: Mapping[str, str]) -> Key:
    role = next(role for role, arm in roles.items() if arm == column.arm)
    condition, similarity = column.comparison
    return Key(test.name, method, condition, role, similarity)


def _printed(published: Published | None, comparison: Comparison, label: str) -> Number | None:
    numbers = published.numbers.get(_plain(comparison), {}) if published else {}
    if label not in numbers:
        return None
    mean, sem = numbers[label]
    return Number(mean, math.nan if sem is None else sem)


def _prints(published: Published | None, comparison: Comparison) -> bool:
    """Whether the paper has numbers, or a range, for a comparison."""
    plain = _plain(comparison)
    return published is not None and (plain in published.numbers or plain in published.ranges)


def _plain(comparison: Comparison) -> Comparison:
    """Without the similarity's options, which the paper does not mention."""
    condition, similarity = comparison
    return condition, registered(similarity)
