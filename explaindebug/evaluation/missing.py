"""Maps that have no score in words; many of them are said in a few sentences."""

from collections.abc import Iterable

from explaindebug.core.wording import listed
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Fault, Unscored

NAMED = 8  # inputs that a sentence names


def sentences(unscored: Iterable[Unscored], scores: Scores) -> list[str]:
    """A sentence per test, arm and fault, for all methods and conditions together.

    `scores` is the table that they are missing from: it tells of how many inputs.
    """
    groups: dict[tuple[str, str, Fault], dict[Key, set[int]]] = {}
    for key, fault, rows in unscored:
        group = groups.setdefault((key.test, key.arm, fault), {})
        group.setdefault(key, set()).update(rows)
    return [_sentence(*name, found, scores) for name, found in groups.items()]


def _sentence(test: str, arm: str, fault: Fault, found: dict[Key, set[int]], scores: Scores) -> str:
    inputs = max((len(column.rows) for key, column in scores if key.test == test), default=0)
    methods = dict.fromkeys(key.method for key in found)
    conditions = dict.fromkeys(key.condition for key in found if key.condition)
    where = ", ".join(filter(None, (test, listed(list(conditions)), arm)))
    rows = sorted(set().union(*found.values()))
    most = max(map(len, found.values()))
    count = f"{most} of {inputs} inputs"
    if most < len(rows) or most > min(map(len, found.values())):
        count = f"up to {count} each, {len(rows)} in all"
    named = ", ".join(map(str, rows[:NAMED])) + (", ..." if len(rows) > NAMED else "")
    return (
        f"{listed(list(methods), len(methods))} ({where}): {fault} for {count} "
        f"(rows {named}); they have no score."
    )
