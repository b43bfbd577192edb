"""What a command line says of classes of the user's own; read before torch is imported."""

from collections.abc import Sequence
from typing import Any

OURS = "explaindebug."
GROUPS = ("model", "data", "foreign", "foreign_model")


def freed(words: Sequence[str]) -> list[str]:
    """The command line, with keys allowed that a group does not have, where its target is typed.

    Hydra takes such a key only as `++model.width=32`.
    """
    typed = {group for group in GROUPS if target_of(group, words) is not None}
    return [f"++{word}" if word.partition(".")[0] in typed else word for word in words]


def is_own(target: Any) -> bool:
    """Whether it is no part of this package."""
    return not str(target).startswith(OURS)


def target_of(group: str, words: Sequence[str]) -> str | None:
    """The target that is typed for a group, where it is not one of this package."""
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key == f"{group}._target_" and is_own(value):
            return value
    return None
