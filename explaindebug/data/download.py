"""Download and unpack files of data sets: verified, resumable and atomic."""

import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from explaindebug.core.errors import DataError
from explaindebug.core.io import check_space, locked_temporary, remove_abandoned, size_in_words

CHUNK = 1 << 20
UNPACKING = ".unpacking-"  # prefix of a folder that an archive is being unpacked into
TIMEOUT = 60  # seconds of silence
Progress = Callable[[int, int], object]  # (bytes so far, bytes in total)


@dataclass(frozen=True)
class Archive:
    """One file of a data set as published, and its content."""

    name: str
    urls: tuple[str, ...] = ()  # tried in turn; empty: it must be downloaded by hand
    digest: str | None = None  # "md5:..." or "sha256:..."
    size: int | None = None  # bytes
    into: str = "."  # the folder below the root that it is unpacked into
    gives: tuple[str, ...] = ()  # what it unpacks to in that folder; empty: it is not an archive


def fetch(archive: Archive, folder: Path, progress: Progress | None = None) -> Path:
    """The file in `folder`, downloaded if necessary; an interrupted download is resumed.

    It has another name until it is complete and its digest is verified, so a partial file is never
    used. A partial download is removed if the file is there by other means.

    Raises:
        ConfigError: if there is not enough disk space.
        DataError: if it can't be downloaded, with how much there is so far; or is damaged.
    """
    path = folder / archive.name
    if path.is_file():
        discard_part(archive, folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{archive.name}.part"
        _download(archive, part, progress)
        verify(archive, part)
        os.replace(part, path)
    return path


def discard_part(archive: Archive, folder: Path) -> None:
    """Remove what an interrupted download left, once it is no longer needed."""
    (folder / f".{archive.name}.part").unlink(missing_ok=True)


def verify(archive: Archive, path: Path) -> None:
    """Raises DataError if a file is not the archive; if it is a download, it is removed."""
    size = path.stat().st_size
    kind, _, expected = (archive.digest or "").partition(":")
    if archive.size not in (None, size):
        found, expected = f"{size} bytes", f"{archive.size}"
    elif kind and (digest := _digest(path, kind)) != expected:
        found = f"{kind} {digest}"
    else:
        return
    if path.suffix == ".part":
        path.unlink()
    raise DataError(
        f"{path.with_name(archive.name)} is not the expected file: it has {found}, not {expected}. "
        "It is truncated or damaged, or was replaced at its source. Download it again."
    )


def unpack(archive: Archive, path: Path, root: Path) -> None:
    """Unpack the tar file `path` into the archive's folder below `root`.

    It is unpacked into a temporary folder and moved entry by entry; existing entries are kept.
    Leftovers of killed processes are removed.

    Raises:
        ConfigError: if there is not enough disk space.
        DataError: for a damaged file.
    """
    folder = root / archive.into
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder, prefix=UNPACKING)
    check_space(folder, path.stat().st_size, f"unpacking {path}")
    with locked_temporary(lambda: Path(tempfile.mkdtemp(dir=folder, prefix=UNPACKING))) as aside:
        try:
            with tarfile.open(path) as tar:
                tar.extractall(aside, filter="data")
            for entry in sorted(aside.iterdir()):
                if not (folder / entry.name).exists():
                    os.rename(entry, folder / entry.name)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise DataError(f"{path} can't be unpacked ({error}). Download it again.") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _download(archive: Archive, part: Path, progress: Progress | None) -> None:
    errors = []
    for url in archive.urls:
        try:
            return _resume(url, archive, part, progress)
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            errors.append(f"{url}: {error}")
    have = size_in_words(part.stat().st_size) if part.exists() else "0 bytes"
    total = f" of {size_in_words(archive.size)}" if archive.size else ""
    raise DataError(
        f"{archive.name} could not be downloaded ({'; '.join(errors)}). {have}{total} downloaded; "
        "run the same command again to resume, or put the file into "
        f"{part.parent.resolve()} by hand."
    )


def _resume(url: str, archive: Archive, part: Path, progress: Progress | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have and have == archive.size:
        return
    with _opened(url, have) as response:
        if response.status != 206:  # the server starts from the beginning
            have = 0
        left = int(response.headers.get("Content-Length") or 0)
        total = have + left
        needed = left + (total if archive.gives else 0)  # unpacked, it is about as large
        check_space(part.parent, needed, f"{archive.name}, with its unpacked content,")
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(CHUNK):
                have += file.write(chunk)
                if progress is not None:
                    progress(have, total)
    if left and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _opened(url: str, start: int) -> http.client.HTTPResponse:
    """The response to a request for the bytes from `start`; for all bytes if that is refused."""
    headers = {"User-Agent": "explaindebug"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        opened: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        return _opened(url, 0)
    return opened


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
