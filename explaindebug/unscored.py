"""Maps that have no score: of which inputs, and why."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from explaindebug.scores import Key


class Fault(Enum):
    """Why a map has no score; the value is its name in files."""

    MAP_NOT_FINITE = "map_not_finite"
    MAP_CONSTANT = "map_constant"
    REFERENCE_NOT_FINITE = "reference_not_finite"
    REFERENCE_CONSTANT = "reference_constant"

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
