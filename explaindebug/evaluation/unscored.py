"""Maps that have no score: of which inputs, and why."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from explaindebug.evaluation.scores import Key


class Fault(StrEnum):
    """Why a map has no score, in words for people; files have its `id`."""

    MAP_NOT_FINITE = "the map is not finite"
    MAP_CONSTANT = "the map is constant"
    REFERENCE_NOT_FINITE = "the reference is not finite"
    REFERENCE_CONSTANT = "the reference is constant"

    @property
    def id(self) -> str:
        """`map_not_finite`: stays the same when the words change."""
        return self.name.lower()

    @property
    def broken(self) -> bool:
        """Whether something is wrong with the method or its options, and not only nothing there."""
        return self in (Fault.MAP_NOT_FINITE, Fault.REFERENCE_NOT_FINITE)


class Unscored(NamedTuple):
    """Inputs that have no score under a key, whose similarity is left open: it holds for each."""

    key: Key
    fault: Fault
    rows: tuple[int, ...]


def restricted(unscored: Iterable[Unscored], rows: Iterable[int]) -> list[Unscored]:
    """The part that belongs to the inputs `rows`."""
    own = set(rows)
    kept = [one._replace(rows=tuple(row for row in one.rows if row in own)) for one in unscored]
    return [one for one in kept if one.rows]
