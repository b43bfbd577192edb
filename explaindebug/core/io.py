"""Atomic writes, JSON, digests, and checks of folders and disk space."""

import csv
import filecmp
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, Any

import numpy as np

from explaindebug.core.errors import ConfigError

if sys.platform != "win32":
    import fcntl

WRITING = ".write.part"  # suffix of a file that is still being written


@contextmanager
def replacing(path: Path | str, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that replaces `path` when the block succeeds; otherwise `path` does not change.

    The new content is written beside the old file until it is complete, so an interrupted run keeps
    the old one. Partial files that killed processes left in the folder are removed.

    Raises:
        OSError: with the file's name, also where the system gives none (a full disk).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, suffix=WRITING)

    def empty() -> Path:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=WRITING)
        os.close(handle)
        return Path(name)

    with locked_temporary(empty) as part:
        try:
            options: dict[str, Any] = {} if binary else {"newline": "", "encoding": "utf-8"}
            with part.open("wb" if binary else "w", **options) as file:
                yield file
            part.chmod(0o666 & ~_umask())  # mkstemp's files are private, results are shared
            os.replace(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(path)
            raise


def write_csv(path: Path | str, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write names of columns and a line per row as CSV, all or nothing; floats are exact."""
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def locked_temporary(make: Callable[[], Path]) -> Iterator[Path]:
    """The temporary file or folder that `make` creates, locked for the duration of the block.

    `remove_abandoned` leaves locked files alone; a lock is released when its process ends, in
    whatever way. Without locks (Windows, some network file systems) nothing is ever removed.
    """
    path, handle = _make_and_lock(make)
    while not path.exists():  # removed before it was locked
        _release(handle)
        path, handle = _make_and_lock(make)
    try:
        yield path
    finally:
        _release(handle)


def remove_abandoned(folder: Path, *, prefix: str = ".", suffix: str = "") -> None:
    """Remove files and folders with this prefix and suffix that no process has locked."""
    for name in os.listdir(folder):
        path = folder / name
        if name.startswith(prefix) and name.endswith(suffix):
            handle = _lock(path, wait=False)
            if handle is not None:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            _release(handle)


def _make_and_lock(make: Callable[[], Path]) -> tuple[Path, int | None]:
    path = make()
    return path, _lock(path, wait=True)


def _lock(path: Path, *, wait: bool) -> int | None:
    """A handle that holds the file's lock; None if another process has it or locks don't work."""
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _release(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def write_atomically(path: Path | str, content: str | bytes) -> Path:
    """Write `content` to `path` atomically."""
    with replacing(path, binary=isinstance(content, bytes)) as file:
        file.write(content)
    return Path(path)


def write_json(path: Path | str, value: Any) -> Path:
    """Write `value` as indented JSON (see `as_json`), atomically."""
    return write_atomically(path, json.dumps(as_json(value), indent=1, allow_nan=False) + "\n")


def as_json(value: Any) -> Any:
    """The value in types that JSON has, as it will be when it is read again.

    Strict JSON has no NaN or infinity, and parsers other than Python's reject them: NaN becomes
    null, infinities become "Infinity" or "-Infinity" (`float` reads both). Numpy values become
    numbers and lists; anything else becomes its `str`.
    """
    if isinstance(value, Mapping):
        return {str(key): as_json(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(own) for own in value]
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("-" if value < 0 else "") + "Infinity"
    if isinstance(value, Enum):
        return as_json(value.value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a copy of `source`, as a hard link where the file system allows it.

    A target with different content, such as half a copy, is replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and (target.samefile(source) or filecmp.cmp(source, target, shallow=False)):
        return
    link = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{WRITING}")
    try:
        os.link(source, link)  # no second copy on the disk
    except OSError:
        with source.open("rb") as content, replacing(target, binary=True) as file:
            shutil.copyfileobj(content, file, 1 << 20)
    else:
        os.replace(link, target)


def remove_parts(folder: Path) -> None:
    """Remove partial files that killed processes left in the folder and its subfolders."""
    for place, _, _ in os.walk(folder):
        remove_abandoned(Path(place), suffix=WRITING)


def set_aside(path: Path) -> Path:
    """Rename an unusable file or folder to `<name>.damaged`, replacing an older one.

    Raises:
        OSError: where it can't be renamed.
    """
    aside = path.with_name(f"{path.name}.damaged")
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    else:
        aside.unlink(missing_ok=True)
    return path.rename(aside)


def writable_folder(path: Path) -> Path:
    """`path` as a folder that exists and can be written to.

    Raises:
        ConfigError: where it can't, with the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigError(
            f"can't write to the folder {path} ({error.strerror or error}). "
            "Choose another one, for example output=/tmp/run1."
        ) from error
    return path


def check_space(folder: Path, needed: int, what: str) -> None:
    """Check that the disk under `folder`, which need not exist, has `needed` bytes free.

    Raises:
        ConfigError: where it has not, with the free and the needed space.
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ConfigError(
            f"{what} needs {size_in_words(needed)} of disk space, but {existing.resolve()} has "
            f"{size_in_words(free)} left. Free some space, or choose a folder on a larger disk."
        )


def size_in_words(count: int) -> str:
    """A number of bytes for people: "1.2 GB"."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.{0 if count >= 100 * factor else 1}f} {unit}"
    return f"{count} bytes"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
