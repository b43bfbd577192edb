"""Which regions a network relies on, as tables and in words."""

import math
from collections.abc import Mapping, Sequence

from explaindebug.core import wording
from explaindebug.evaluation.suspects import Fact, Suspect
from explaindebug.report import table as tables
from explaindebug.report.table import RANK, Cell, Column, Row, Table

ORDER = ("shows", "can't tell", "doesn't")


def suspects_table(
    suspects: Sequence[Suspect], methods: Mapping[str, str], *, masked: bool
) -> Table:
    """A row per candidate: whether it is confirmed, and which methods' maps lie on it."""
    twins = any(one.against_twin for one in suspects)
    rows = []
    for one in sorted(suspects, key=lambda one: ORDER.index(one.answer)):
        best = one.strongest
        nan = math.nan
        said = (
            Cell("not tested", why=one.reason)
            if best is None
            else Cell("", order=float(RANK[one.answer]), answer=one.answer, why=one.reason)
        )
        twin = [tables.answer(max(one.against_twin, key=lambda v: v.effect, default=None))] * twins
        numbers = (nan, nan) if best is None else (best.bug, best.control)
        inside = [tables.number(nan if one.on_object is None else one.on_object)] * masked
        shares = [tables.number(one.shares.get(m, nan)) for m in methods]
        cells = [said, Cell(best.method if best else wording.NOTHING)]
        cells += [*map(tables.number, numbers), *twin, Cell(str(one.inputs))]
        rows.append(Row(one.title, [*cells, *inside, tables.number(one.area), *shares]))
    columns = [
        Column("Candidate"),
        Column("Relied on?", "whether the class loses more than with as much elsewhere", word=True),
        Column("Fill", "with the largest effect", word=True),
        Column("Lost", "probability that the class loses with the region"),
        Column("Elsewhere", "and with a region of the same size elsewhere"),
        *[Column("Twin", "whether the network loses more than the twin", word=True)] * twins,
        Column("n", "held-out inputs"),
        *[Column("On object", "share of the candidate on the object, which is left alone")]
        * masked,
        Column("Area", "of what was filled in, as a share of the picture"),
        *[
            Column(name, "share of its map in there", group="Share of the map", method=m)
            for m, name in methods.items()
        ],
    ]
    return Table("Regions that the network may rely on", columns, rows)


def facts_table(facts: Sequence[Fact]) -> Table:
    """A row per value of a column that goes with a predicted class."""
    rows = [
        Row(
            f"{one.column} = {one.value}",
            [
                Cell(str(one.predicted)),
                tables.number(one.with_value),
                tables.number(one.without),
                Cell(str(one.count)),
                tables.pvalue(one.p_adjusted),
            ],
        )
        for one in facts
    ]
    columns = [
        Column("Metadata"),
        Column("Predicted class"),
        Column("With it", "share of inputs with the value that are predicted as the class"),
        Column("Without", "share of those without it"),
        Column("n", "held-out inputs with the value"),
        Column("p", "one-sided, by permutation, adjusted for all rows"),
    ]
    return Table("What goes with a predicted class; nothing was changed to test it", columns, rows)


def in_short(suspects: Sequence[Suspect], *, masked: bool) -> str:
    """What was found, in a sentence."""
    shown = [one for one in suspects if one.answer == "shows"]
    where = " off the object" if masked else ""
    tested = sum(one.tested for one in suspects)
    if shown:
        return (
            f"The network relies on {len(shown)} of {tested} candidate regions{where}: "
            f"{wording.listed([one.title for one in shown])}."
        )
    if not tested:
        return f"No candidate region{where} could be tested."
    undecided = sum(one.tested and one.answer == "can't tell" for one in suspects)
    said = f"None of {tested} candidate regions{where} is confirmed"
    return f"{said}; {undecided} of them are undecided." if undecided else f"{said}."


def caution(*, masked: bool) -> str:
    """What the answer does not say."""
    objects = (
        "The objects and a rim around them were left alone."
        if masked
        else "A real object is a region that a network relies on, too: look at the pictures, or "
        "pass masks of the objects to leave them alone."
    )
    return (
        f"{objects} That nothing is confirmed does not show that there is no shortcut: one that no "
        "region holds, such as a tone or a blur, is hardly found like this."
    )


def reading(margin: float, level: float) -> list[str]:
    """How to read the tables, in a few sentences."""
    return [
        "Candidates were found on one half of the inputs and tested on the other. In each picture "
        "the region is filled with its surroundings (inpaint), with its own blur (blur), or with "
        "the pixels of an input of another predicted class (swap); the control is a region of the "
        "same shape and size elsewhere in the same picture.",
        "“Shows”: with one of the fills, the predicted class surely loses at least "
        f"{wording.num(margin)} more probability than the control. “Doesn't”: with every fill it "
        "surely loses less than that. “Surely” means p of at most "
        f"{level:g} after adjustment for all candidates and fills (Benjamini and Hochberg).",
        "A method's map points to a region if it has a larger share there than the region has of "
        "the picture. The maps led to the candidates, so that alone is no evidence for a method.",
    ]
