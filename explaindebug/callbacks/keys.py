"""Names under which loggers keep things: no spaces, a fixed number of parts, no two the same."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def log_key(*parts: str) -> str:
    """`debug/reinit/grad/ssim/top_3`: the parts that are not empty, joined by slashes.

    White space and slashes inside of a part become underscores, so that every key has as many parts
    as patterns of keys (a dashboard's, a regular expression's) count on.
    """
    return "/".join("_".join(part.replace("/", " ").split()) for part in parts if part)


def plain(name: str, allowed: str, instead: str) -> str:
    """The name with every character but letters, digits and those `allowed` replaced."""
    return "".join(c if c.isalnum() or c in allowed else instead for c in name)


def distinct(things: Iterable[T], name: Callable[[T], str]) -> dict[T, str]:
    """Each thing's name; where several would have the same one, later ones are numbered.

    Without it, `shift=+1` and `shift=-1` could become one name, and one would overwrite the other.
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
