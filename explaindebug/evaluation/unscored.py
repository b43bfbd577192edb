"""Maps without a score: of which inputs, for what reason, and how that is reported."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from explaindebug.core.wording import listed
from explaindebug.evaluation.scores import Key, Scores

NAMED = 8  # inputs that a sentence names


class Fault(StrEnum):
    """Why a map has no score, in words; files have its `id`."""

    MAP_NOT_FINITE = "the map is not finite"
    MAP_CONSTANT = "the map is constant"
    REFERENCE_NOT_FINITE = "the reference is not finite"
    REFERENCE_CONSTANT = "the reference is constant"

    @property
    def id(self) -> str:
        """`map_not_finite`, which stays the same if the words change."""
        return self.name.lower()

    @property
    def broken(self) -> bool:
        """Whether the method or its options are at fault; a constant map may be correct."""
        return self in (Fault.MAP_NOT_FINITE, Fault.REFERENCE_NOT_FINITE)


class Unscored(NamedTuple):
    """Inputs without a score under a key, whose similarity is empty: the fault affects them all."""

    key: Key
    fault: Fault
    rows: tuple[int, ...]


def restricted(unscored: Iterable[Unscored], rows: Iterable[int]) -> list[Unscored]:
    """The part that concerns the inputs `rows`."""
    own = set(rows)
    kept = [one._replace(rows=tuple(row for row in one.rows if row in own)) for one in unscored]
    return [one for one in kept if one.rows]


def sentences(unscored: Iterable[Unscored], scores: Scores) -> list[str]:
    """A sentence per test, arm and fault, for all methods and conditions together.

    `scores` is the table that lacks them; the total number of inputs is taken from it.
    """
    groups: dict[tuple[str, str, Fault], dict[Key, set[int]]] = {}
    for key, fault, rows in unscored:
        group = groups.setdefault((key.test, key.arm, fault), {})
        group.setdefault(key, set()).update(rows)
    return [_sentence(*name, group, scores) for name, group in groups.items()]


def _sentence(test: str, arm: str, fault: Fault, group: dict[Key, set[int]], scores: Scores) -> str:
    inputs = max((len(column.rows) for key, column in scores if key.test == test), default=0)
    methods = dict.fromkeys(key.method for key in group)
    conditions = dict.fromkeys(key.condition for key in group if key.condition)
    where = ", ".join(filter(None, (test, listed(list(conditions)), arm)))
    rows = sorted(set().union(*group.values()))
    most = max(map(len, group.values()))
    count = f"{most} of {inputs} inputs"
    if most < len(rows) or most > min(map(len, group.values())):
        count = f"up to {count} each, {len(rows)} in all"
    named = ", ".join(map(str, rows[:NAMED])) + (", ..." if len(rows) > NAMED else "")
    return (
        f"{listed(list(methods), len(methods))} ({where}): {fault} for {count} "
        f"(rows {named}); these are not scored."
    )
