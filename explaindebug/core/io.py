"""Files that are written whole or not at all."""

import csv
import filecmp
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

WRITING = ".write.part"  # how the name of a file ends that is not yet whole


@contextmanager
def replacing(path: Path | str, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that takes the place of `path` when the block ends well; else nothing changes.

    The new content lies next to the old one until it is complete, so a cut run leaves the old file.
    What killed processes left of other files in the folder is removed.

    Raises:
        OSError: with the file's name, also where the system gives none (a disk that is full).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, suffix=WRITING)

    def empty() -> Path:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=WRITING)
        os.close(handle)
        return Path(name)

    with held(empty) as part:
        try:
            options: dict[str, Any] = {} if binary else {"newline": "", "encoding": "utf-8"}
            with part.open("wb" if binary else "w", **options) as file:
                yield file
            part.chmod(0o666 & ~_umask())  # mkstemp makes private files, results are to be shared
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
def held(make: Callable[[], Path]) -> Iterator[Path]:
    """The temporary file or folder that `make` makes; in the block no process takes it for dead.

    It is locked, and a lock goes with the process that has it, however that ends. Where there are
    no locks (on Windows, on some network file systems), `remove_abandoned` removes nothing.
    """
    path, handle = _made(make)
    while not path.exists():  # removed before it was locked
        _release(handle)
        path, handle = _made(make)
    try:
        yield path
    finally:
        _release(handle)


def remove_abandoned(folder: Path, *, prefix: str = ".", suffix: str = "") -> None:
    """Remove the files and folders whose names begin and end so, unless a process holds them."""
    for name in os.listdir(folder):
        path = folder / name
        if name.startswith(prefix) and name.endswith(suffix):
            handle = _locked(path, wait=False)
            if handle is not None:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            _release(handle)


def _made(make: Callable[[], Path]) -> tuple[Path, int | None]:
    path = make()
    return path, _locked(path, wait=True)


def _locked(path: Path, *, wait: bool) -> int | None:
    """A handle that has the file's lock; None where another has it, or where there are no locks."""
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
    """Write `content` to `path`, whole or not at all."""
    with replacing(path, binary=isinstance(content, bytes)) as file:
        file.write(content)
    return Path(path)


def write_json(path: Path | str, value: Any) -> Path:
    """Write `value` as indented JSON (see `as_json`), whole or not at all."""
    return write_atomically(path, json.dumps(as_json(value), indent=1, allow_nan=False) + "\n")


def as_json(value: Any) -> Any:
    """The value as JSON has it, and as it is when it is read again.

    JSON knows no NaN and no infinity, and readers other than Python's refuse them: NaN is null,
    what is infinite is the text "Infinity" or "-Infinity" (`float` takes both back). Values of
    numpy are numbers and lists; what has no form in JSON is its text.
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


def copied(source: Path, target: Path) -> None:
    """Makes `target` a copy of `source`, by a link where the disk allows one.

    A target with other content, such as half a copy, is replaced.
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
    """Removes what killed processes left half-written in the folder and in those below it."""
    for place, _, _ in os.walk(folder):
        remove_abandoned(Path(place), suffix=WRITING)


def set_aside(path: Path) -> Path:
    """Renames a file or folder that can't be used to `<name>.damaged`, which replaces an older one.

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
            f"the folder {path} can't be written ({error.strerror or error}). "
            "Name another one, for example output=/tmp/run1."
        ) from error
    return path


def check_space(folder: Path, needed: int, what: str) -> None:
    """Nothing where the disk under `folder`, which need not exist, has `needed` bytes to spare.

    Raises:
        ConfigError: where it has not, with what there is and what would do.
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ConfigError(
            f"{what} needs {size_in_words(needed)} on the disk, but {existing.resolve()} has "
            f"{size_in_words(free)} left. Free some, or name a folder on a larger disk."
        )


def size_in_words(count: int) -> str:
    """Bytes as a person says them: "1.2 GB"."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.{0 if count >= 100 * factor else 1}f} {unit}"
    return f"{count} bytes"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
