"""Find duplicate pictures: links to the same file, or files with the same bytes.

A duplicate in another split would leak training data; in the same split it would count twice.
Pictures that look alike but differ in their bytes are not found.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TypeVar

from explaindebug.core.errors import DataWarning

TAIL = 256  # bytes at a file's end; most files of equal size differ there
A = TypeVar("A")


def copies(paths: Sequence[Path]) -> list[list[int]]:
    """Groups of two or more positions in `paths` whose files hold the same bytes, each in order.

    Files are opened only if others have the same size, and read only if their ends are equal too.
    A file that can't be read is not a copy of any.
    """
    files = _alike(list(range(len(paths))), lambda i: _identity(paths[i]))
    groups = [[file[0] for file in files]]
    keys: tuple[Callable[[Path], Hashable], ...] = (_size, _tail, _digest)
    for key in keys:
        alike = (same for group in groups for same in _alike(group, lambda i: key(paths[i])))  # noqa: B023
        groups = [same for same in alike if len(same) > 1]
    members = {file[0]: file for file in files}
    for first, *others in groups:
        members[first] = sorted(sum((members.pop(i) for i in others), members[first]))
    return [file for file in members.values() if len(file) > 1]


def once(paths: Sequence[Path], what: str) -> list[Path]:
    """The paths without copies of earlier ones; a DataWarning names those left out."""
    groups = copies(paths)
    say_copies([(paths[i], paths[first]) for first, *others in groups for i in others], what)
    left_out = {i for _, *others in groups for i in others}
    return [path for i, path in enumerate(paths) if i not in left_out]


def say_copies(pairs: Sequence[tuple[Path, Path]], what: str) -> None:
    """Warn about files that are left out as copies of others."""
    if pairs:
        named = "; ".join(f"{copy} of {path}" for copy, path in pairs[:3])
        rest = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        warnings.warn(
            f"{len(pairs)} {what} left out, as they are copies of others and would count twice: "
            f"{named}{rest}.",
            DataWarning,
            stacklevel=3,
        )


def _alike(items: Sequence[A], key: Callable[[A], Hashable]) -> list[list[A]]:
    """The items in groups of equal keys."""
    groups: dict[Hashable, list[A]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _identity(path: Path) -> Hashable:
    """A key that is equal for all links to one file."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return (found.st_dev, found.st_ino)


def _size(path: Path) -> Hashable:
    try:
        return path.stat().st_size
    except OSError:
        return path


def _tail(path: Path) -> Hashable:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read()
    except OSError:
        return path


def _digest(path: Path) -> Hashable:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return path
