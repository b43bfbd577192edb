"""Roles of scores: the arm of a comparison and which of its networks, or a null.

A role is a field of every row of `scores.csv`, written `bug`, `control`, `control: 2` or
`null: gaussian`. Only this module writes and parses that form.
"""

from functools import lru_cache
from typing import NamedTuple

from explaindebug.core.errors import DataError

BUG, CONTROL, NULL = "bug", "control", "null"
ARMS = (BUG, CONTROL, NULL)


class Role(NamedTuple):
    """A role by its parts; `str(role)` is its form in tables and keys."""

    arm: str  # "bug", "control" or "null"
    number: int = 1  # which network or draw of its arm, counted from 1
    null: str = ""  # the null's name; empty in the other arms

    def __str__(self) -> str:
        if self.arm == NULL:
            return f"{NULL}: {self.null}"
        return self.arm if self.number == 1 else f"{self.arm}: {self.number}"

    @classmethod
    def of(cls, text: str) -> "Role":
        """Parse a role.

        Raises:
            DataError: for any other text.
        """
        return _parsed(text)


def null_role(name: str) -> str:
    """The role of the null with this name."""
    return str(Role(NULL, null=name))


@lru_cache(maxsize=1024)  # tables ask for the same few roles once per column
def _parsed(text: str) -> Role:
    arm, separator, rest = text.partition(": ")
    if arm == NULL and rest:
        return Role(NULL, null=rest)
    if arm in (BUG, CONTROL) and (not separator or (rest.isdecimal() and int(rest) > 0)):
        return Role(arm, int(rest or 1))
    raise DataError(
        f"{text!r} is not a role of scores. Roles are bug and control, with a number for further "
        "networks (control: 2), and nulls by their name (null: gaussian)."
    )
