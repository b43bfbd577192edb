"""The claim of section 4: which methods are invariant to higher layers."""

from collections.abc import Sequence

import numpy as np

from explaindebug.core import wording
from explaindebug.evaluation.inference import bootstrap_interval
from explaindebug.evaluation.nulls import NULLS, is_matched
from explaindebug.evaluation.roles import BUG, CONTROL, null_role
from explaindebug.evaluation.scores import Key
from explaindebug.evaluation.similarities import family
from explaindebug.report.beside import Number, half, pooled
from explaindebug.studies.adebayo2020.claims.claim import Claim, Said
from explaindebug.studies.adebayo2020.entry import TOP_DOWN, Entry
from explaindebug.studies.adebayo2020.judging import (
    FAILS,
    HOLDS,
    UNKNOWN,
    Answer,
    at_least,
    counted,
    every,
)
from explaindebug.studies.adebayo2020.published import INVARIANT, NOT_INVARIANT, RANK

KEPT = 0.5  # fraction of the way from unrelated maps to those of the trained network
ROOM = 0.1  # minimal distance between control and null; below it the fraction is meaningless
CHANGED = 0.5  # share of inputs whose class is still the same


def invariance(entry: Entry) -> Said:
    """With half of the layers lost, six methods keep more than half, and six others don't."""
    stages = entry.test.stages
    if not stages or entry.order != TOP_DOWN:
        return Said(UNKNOWN, f"The run re-initialised its layers in another order ({entry.order}).")
    found = {entry.names[m]: kept(entry, m) for m in entry.test.scores.unique("method")}
    more = {m: _more(found[m]) for m in INVARIANT if m in found}
    less: dict[str, Answer] = {m: _less(found[m]) for m in NOT_INVARIANT if m in found}
    absent = [m for m in (*INVARIANT, *NOT_INVARIANT) if m not in found]
    here: list[Answer] = [UNKNOWN] * bool(absent)
    lost = f"{stages.index(half(stages)) + 1} of {len(stages)} stages"
    without = f" Not measured: {wording.listed(absent, 12)}." if absent else ""
    return Said(
        every([*more.values(), *less.values(), *here]),
        f"With {lost} lost (down to {half(stages)}), rank correlation keeps "
        f"{_listed(found, more)}: more than half by {counted(more)}. Of gradients and LRP-EPS it "
        f"keeps {_listed(found, less)}: less than half by {counted(less)}.{without}",
    )


def network_is_lost(entry: Entry) -> Said:
    """The network's own predictions have changed, so a map that does not change ignores that."""
    stage = entry.test.headline.condition
    share = entry.test.agreement.get(stage, np.nan)
    if np.isnan(share):
        return Said(
            UNKNOWN, f"The run did not record how many predictions stay the same. {_frozen(entry)}"
        )
    answer: Answer = HOLDS if share < CHANGED else FAILS
    return Said(
        answer,
        f"At {stage} already, {wording.fine(share)} of the network's predictions are "
        f"unchanged. {_frozen(entry)}",
    )


def kept(entry: Entry, method: str) -> Number:
    """(similarity - null) / (control - null) of a method's maps with half of the layers lost.

    The interval is that of the mean of similarity - null - (control - null) / 2 over inputs,
    shifted and scaled like the ratio of the means: it lies above one half if the method surely
    keeps more than half. NaN if control and null are too close.
    """
    columns = _columns(entry, method)
    if len(columns) < 3:
        return Number(np.nan)
    bug, control, null = columns
    room = float((control - null).mean()) if len(control) else 0.0
    if room < ROOM:
        return Number(np.nan, n=len(bug))
    low, high = bootstrap_interval(bug - null - KEPT * (control - null))
    least, most = (KEPT + float(end) / room for end in (low, high))
    return Number(float((bug - null).mean()) / room, np.nan, least, most, len(bug))


def _columns(entry: Entry, method: str) -> Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Similarities (n,) of bug, control and null, for inputs that have all three."""
    own = pooled(entry.test.scores.select(method=method, condition=half(entry.test.stages)))
    ranks = sorted({k.similarity for k, _ in own if family(k.similarity) == RANK}, key=len)
    nulls = [
        role for role in map(null_role, filter(is_matched, NULLS)) if role in own.unique("role")
    ]
    if not ranks or not nulls:
        return []
    where = Key(entry.test.name, method, half(entry.test.stages), "", ranks[0])
    keys = [where._replace(role=role) for role in (BUG, CONTROL, nulls[0])]
    if any(key not in own for key in keys):
        return []
    values = np.stack([own[key].values for key in keys])
    return list(values[:, ~np.isnan(values).any(0)])


def _more(x: Number) -> Answer:
    return at_least(KEPT)(x)


def _less(x: Number) -> Answer:
    turned: dict[Answer, Answer] = {HOLDS: FAILS, FAILS: HOLDS, UNKNOWN: UNKNOWN}
    return turned[at_least(KEPT)(x)]


def _listed(found: dict[str, Number], which: dict[str, Answer]) -> str:
    return ", ".join(f"{m} {wording.fine(found[m].mean)}" for m in which) or wording.NOTHING


def _frozen(entry: Entry) -> str:
    """Note that patterns of the trained network may stay the same by construction."""
    own = [entry.names[m] for m in ("pnet", "pattribution") if m in entry.names]
    if not own:
        return ""
    return (
        f"{wording.listed(own)} keep the trained network's patterns in `preset=paper2020`, so "
        "their invariance is partly by construction."
    )


LAYERS = Claim(
    4,
    "GBP, DConvNet, DeepTaylor, PatternNet, PatternAttribution and LRP-SPAF are invariant to "
    "higher layers; gradients and LRP-EPS are not.",
    "*Higher layers*: the half that is lost first, from the logits down. *Invariant*: of the rank "
    "correlation between null (noise) and control (the trained network's own maps under invisible "
    f"noise), surely more than {KEPT} is kept: (similarity − null) / (control − null). "
    f"*Not*: surely less. *Gradients*: {', '.join(NOT_INVARIANT[:-1])}; SGradSQ and VGrad, which "
    "lose the sign, are only in the table.",
    f"Holds if the network itself is lost: less than {CHANGED} of its predictions are unchanged.",
    "figure7",
    invariance,
    network_is_lost,
    "If a method that the paper calls invariant changes here: in another architecture, half of "
    "the layers is a different part of the network (the first three layers that VGG-16 loses are "
    "two thirds of its weights), which `bug.reinit.order=independent` shows layer by layer; and "
    "scale matters, which `bug.reinit.init=permute_weights` shows, as it keeps every layer's "
    "weights and only changes their order. If a gradient does not change: multiplied by the input, "
    "it is dominated by the picture's own structure (Kokhlikyan et al. 2021), which the null "
    "*other* shows. PatternNet and PatternAttribution: `preset=robust` refits their patterns at "
    "every stage.",
)
ALL = (LAYERS,)
