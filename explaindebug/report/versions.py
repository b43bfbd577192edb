"""Two versions of a network, as tables and in words."""

import math
from collections.abc import Mapping, Sequence

from explaindebug.core import wording
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.evaluation.version_changes import Change, Compared, mean
from explaindebug.report import table as tables
from explaindebug.report.table import Cell, Column, Row, Table

ORDER = {"same": 0, "can't tell": 1, "changed": 2}


def change_table(
    result: RunResult,
    verdicts: Sequence[Verdict],
    changes: Sequence[Change],
    refused: Mapping[str, str],
) -> Table:
    """A row per method: whether reasons changed, and the numbers behind it."""
    own = {v.method: v for v in verdicts}

    def numbers(method: str) -> list[Cell]:
        if method not in own:
            return [Cell()] * 4
        v = own[method]
        return [
            tables.number(v.bug),
            tables.number(v.control),
            tables.signed(v.effect),
            tables.interval(v.interval),
        ]

    rows = [
        Row(
            result.methods[one.method],
            [
                Cell(one.reasons, order=ORDER[one.reasons], why=one.why, strong=True),
                *numbers(one.method),
            ],
            one.method,
        )
        for one in changes
    ]
    rows += [Row(m, [Cell("refused", why=why), *[Cell()] * 4]) for m, why in refused.items()]
    columns = [
        Column("Method"),
        Column("Reasons", "changed: surely by more than the control's", word=True),
        Column("New", "similarity of the new version's maps to the old one's"),
        Column("Control", "the same for the control"),
        Column("Drift", "control minus new: positive where the new version's differ more"),
        Column("95% interval"),
    ]
    return Table("Similarity to the old version's maps, where the answer is kept", columns, rows)


def input_table(inputs: Sequence[Compared], most: int = 12) -> Table:
    """The inputs whose maps differ most, of those that keep their answer."""
    compared = [one for one in inputs if not math.isnan(one.drift)]
    masked = any(one.object_old for one in compared)
    rows = [
        Row(
            one.name,
            [
                Cell(str(one.old_class)),
                tables.number(one.old),
                tables.number(one.new),
                tables.number(one.drift),
                tables.number(1 - mean(one.control.values())),
                *[tables.signed(one.object_change)] * masked,
            ],
        )
        for one in compared[:most]
    ]
    columns = [
        Column("Input"),
        Column("Class"),
        Column("Old", "the class's probability under the old version"),
        Column("New", "the same under the new version"),
        Column("Drift", "1 - similarity of the maps, the mean over methods"),
        Column("Control", "the same for the control"),
        *[Column("On object", "change of the map's share on the object")] * masked,
    ]
    caption = f"Same answer, other reason: {len(rows)} of {len(compared)} inputs, by drift"
    return Table(caption, columns, rows)


def changed_answers(inputs: Sequence[Compared], most: int = 20) -> Table:
    """The inputs whose answer the new version changes; no rows if there are none."""
    changed = [one for one in inputs if not one.kept]
    rows = [
        Row(
            one.name,
            [
                Cell(str(one.old_class)),
                Cell(str(one.new_class)),
                tables.number(one.old),
                tables.number(one.new),
            ],
        )
        for one in changed[:most]
    ]
    columns = [
        Column("Input"),
        Column("Old class"),
        Column("New class"),
        Column("Old", "the old class's probability under the old version"),
        Column("New", "the same class's under the new version"),
    ]
    return Table(
        f"Changed answers, not in the verdict: {len(rows)} of {len(changed)}", columns, rows
    )


def in_short(
    result: RunResult, changes: Sequence[Change], inputs: Sequence[Compared], seeds: int
) -> str:
    """What became of answers and reasons, in two sentences."""
    kept = sum(one.kept for one in inputs)
    answers = f"The new version keeps the answer of {kept} of {len(inputs)} inputs."
    found = [result.methods[one.method] for one in changes if one.reasons == "changed"]
    if found:
        verb = "shows" if len(found) == 1 else "show"
        return f"{answers} {wording.listed(found)} {verb} other reasons for these."
    if changes and all(one.reasons == "same" for one in changes):
        beyond = "a retrained seed's" if seeds else "those under imperceptible noise"
        return f"{answers} Their reasons differ no more than {beyond}."
    return f"{answers} Whether their reasons changed can't be told."
