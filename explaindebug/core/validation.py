"""Checks of single options; an invalid value raises a one-sentence ConfigError."""

import math
from pathlib import Path
from typing import Any

from explaindebug.core.errors import ConfigError


def number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    hint: str = "",
) -> None:
    """Raises ConfigError for a value that is not a finite number within the bounds."""
    real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if (
        real
        and (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
    ):
        return
    bounds = [("at least", least), ("above", above), ("at most", most)]
    limits = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    expected = f"a finite number {limits}".rstrip()
    raise ConfigError(f"{name} must be {expected}, got {value!r}.{' ' + hint if hint else ''}")


def whole(name: str, value: Any, *, least: int, most: int | None = None, hint: str = "") -> None:
    """Raises ConfigError for a value that is not a whole number within the bounds."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if fits and (most is None or value <= most):
        return
    bound = "" if most is None else f" and at most {most}"
    raise ConfigError(
        f"{name} must be a whole number of at least {least}{bound}, got {value!r}."
        f"{' ' + hint if hint else ''}"
    )


def folder(name: str, value: Any) -> Path:
    """The path, `~` expanded.

    Raises ConfigError for an empty one, which would mean the current folder.
    """
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ConfigError(f"{name} must be a folder, got {value!r}. Use . for the current one.")
    return Path(value).expanduser()


def at_most(name: str, value: Any) -> None:
    """Raises ConfigError for a limit that is neither None nor a whole number of at least 1."""
    if value is not None:
        whole(name, value, least=1, hint="Use null for no limit.")
