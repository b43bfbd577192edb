"""Files that are written whole or not at all."""

import filecmp
import json
import math
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, Any

import numpy as np

from explaindebug.errors import ConfigError

# What `replacing` leaves where a process is killed while it writes.
PART = re.compile(r"\..+\.[a-z0-9_]{8}\.part")


@contextmanager
def replacing(path: Path | str, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that takes the place of `path` when the block ends well; else nothing changes.

    The new content lies next to the old one until it is complete, so a cut run leaves the old file.

    Raises:
        OSError: with the file's name, also where the system gives none (a disk that is full).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        options: dict[str, Any] = {} if binary else {"newline": "", "encoding": "utf-8"}
        with open(handle, "wb" if binary else "w", **options) as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files, results are to be shared
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


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
    link = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        os.link(source, link)  # no second copy on the disk
    except OSError:
        with source.open("rb") as content, replacing(target, binary=True) as file:
            shutil.copyfileobj(content, file, 1 << 20)
    else:
        os.replace(link, target)


def remove_parts(folder: Path, pattern: str = "**/.*.part") -> None:
    """Removes what killed processes left half-written in the folder."""
    for path in folder.glob(pattern):
        if PART.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


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
