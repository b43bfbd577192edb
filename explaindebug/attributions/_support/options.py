"""Checks of attribution methods' options."""

from collections.abc import Collection
from typing import Any

from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.core.validation import whole


def at_least(smallest: int, name: str, value: Any, label: str) -> None:
    """Raises ConfigError if an option is not a whole number of at least `smallest`."""
    whole(f"{label}: {name}", value, least=smallest)


def one_of(known: Collection[str], name: str, value: Any, label: str) -> None:
    """Raises ConfigError if an option is not one of the known words."""
    if value not in known:
        hint = nearest(str(value), list(known))
        raise ConfigError(f"{label}: unknown {name} {value!r}.{hint} Known: {', '.join(known)}.")
