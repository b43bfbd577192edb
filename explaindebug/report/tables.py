"""The tables of the paper (2 and 3), with what they lack: the control and the null beside."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np

from explaindebug.results import TestResult
from explaindebug.scores import Key, Scores
from explaindebug.summaries import Summary, summarise

SIMILARITIES = {"ssim": "SSIM", "spearman": "Rank correlation"}  # those of the paper
ONLY = {"spurious": ("ssim",)}  # tests of which the paper has fewer
CONDITIONS = {"gt1": "GT-1", "gt2": "GT-2"}
CAPTIONS = {
    "spurious": "As Table 2 of the paper: SSIM of maps to the background (GT-1), and to the part "
    "of the scene's own map that lies on the background (GT-2)",
    "ood": "As Table 3 of the paper: similarity of maps to those of the inputs' own network",
}


@dataclass(frozen=True)
class PaperTable:
    """Means ± standard errors: per method and comparison the bug, the control and the null."""

    caption: str
    comparisons: tuple[str, ...]
    arms: tuple[str, ...]  # "Bug", "Control", and "Null" where one was scored
    rows: Mapping[str, tuple[Summary | None, ...]]  # by method: the arms of each comparison


def paper_table(test: TestResult, names: Mapping[str, str]) -> PaperTable | None:
    """The test's table; None for a cascade, which is a figure, and where nothing of it is there."""
    compared = comparisons(test)
    if not compared:
        return None
    wanted = Scores()
    for key, column in pooled(test.scores.select(test=test.name)):
        if (key.condition, key.similarity) in compared:
            wanted.add(key, *column)
    found = {Key(*line[:5]): line for line in summarise(wanted)}
    nulls = [role for role in wanted.unique("role") if role.startswith("null: ")]
    null = "null: gaussian" if "null: gaussian" in nulls else next(iter(nulls), "")
    roles = ("bug", "control", *[null] * bool(null))
    rows = {
        m: tuple(
            found.get(Key(test.name, m, condition, role, similarity))
            for condition, similarity in compared
            for role in roles
        )
        for m in names
        if m in wanted.unique("method")
    }
    caption = CAPTIONS.get(test.name, "Similarity of maps as in the paper's tables")
    if null:
        caption += f"; the null is {null.removeprefix('null: ')}"
    arms = tuple(role.partition(":")[0].capitalize() for role in roles)
    return PaperTable(caption, tuple(compared.values()), arms, rows)


def comparisons(test: TestResult) -> dict[tuple[str, str], str]:
    """(condition, similarity) -> its name in the table: the paper's, a cascade's stages apart."""
    wanted = ONLY.get(test.name, tuple(SIMILARITIES))
    own = test.scores.select(test=test.name, role="bug")
    keys = [key for key, _ in own if key.condition not in test.stages]
    conditions = list(dict.fromkeys(key.condition for key in keys))
    found = {}
    for condition, name in product(conditions, wanted):
        for key in keys:
            if (key.condition, key.similarity.partition("(")[0]) == (condition, name):
                label = SIMILARITIES[name] + key.similarity.removeprefix(name)
                where = f"{CONDITIONS.get(condition, condition)}, " * (len(conditions) > 1)
                found[condition, key.similarity] = where + label
    return found


def pooled(scores: Scores) -> Scores:
    """Each arm's models as one ("control" and "control: 2"): the mean of an input's scores."""
    models = defaultdict(list)
    for key, column in scores:
        null = key.role.startswith("null")
        role = key.role if null else key.role.partition(":")[0]
        models[key._replace(role=role)].append(column)
    whole = Scores()
    for key, columns in models.items():
        rows = reduce(np.intersect1d, [column.rows for column in columns])
        values = [column.values[np.isin(column.rows, rows)] for column in columns]
        whole.add(key, rows, np.mean(values, axis=0))
    return whole
