"""Maps that have no score: of which inputs, and why; many of them are said in a few sentences."""

from collections.abc import Iterable
from typing import NamedTuple

from explaindebug.scores import Key, Scores
from explaindebug.wording import listed

NAMED = 8  # inputs that a sentence names


class Missing(NamedTuple):
    """Inputs that have no score under a key, whose similarity is left open: it holds for each."""

    key: Key
    fault: str  # "the map is constant"
    rows: tuple[int, ...]


def restricted(missing: Iterable[Missing], rows: Iterable[int]) -> list[Missing]:
    """The part that belongs to the inputs `rows`."""
    own = set(rows)
    kept = [one._replace(rows=tuple(row for row in one.rows if row in own)) for one in missing]
    return [one for one in kept if one.rows]


def sentences(missing: Iterable[Missing], scores: Scores) -> list[str]:
    """A sentence per test, arm and fault, for all methods and conditions together.

    `scores` is the table that they are missing from: it tells of how many inputs.
    """
    groups: dict[tuple[str, str, str], dict[Key, set[int]]] = {}
    for key, fault, rows in missing:
        group = groups.setdefault((key.test, key.arm, fault), {})
        group.setdefault(key, set()).update(rows)
    return [_sentence(*name, found, scores) for name, found in groups.items()]


def _sentence(test: str, arm: str, fault: str, found: dict[Key, set[int]], scores: Scores) -> str:
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
        f"{listed(list(methods), len(methods))} ({where}): {fault} for {count} (rows {named}); "
        "they have no score."
    )
