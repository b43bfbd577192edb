"""Keys for loggers: without spaces, with a fixed number of parts, and unique."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def log_key(*parts: str) -> str:
    """Join the non-empty parts with slashes, for example `debug/reinit/grad/ssim/top_3`.

    White space and slashes within a part become underscores, so that every key has the number of
    parts that patterns of keys (in a dashboard, or regular expressions) rely on.
    """
    return "/".join("_".join(part.replace("/", " ").split()) for part in parts if part)


def plain(name: str, allowed: str, instead: str) -> str:
    """Replace all characters of a name except letters, digits and those `allowed`."""
    return "".join(c if c.isalnum() or c in allowed else instead for c in name)


def distinct(things: Iterable[T], name: Callable[[T], str]) -> dict[T, str]:
    """Unique names of things; if several would have the same one, later ones are numbered.

    Otherwise `shift=+1` and `shift=-1` could get the same name, and one would overwrite the other.
    """
    names: dict[T, str] = {}
    taken: set[str] = set()
    for thing in things:
        wish = chosen = name(thing)
        number = 1
        while chosen in taken:
            number += 1
            chosen = f"{wish}-{number}"
        taken.add(chosen)
        names[thing] = chosen
    return names
