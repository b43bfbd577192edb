"""Files of data sets from the network: checked, and whole or not at all."""

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
from explaindebug.core.io import check_space, held, remove_abandoned, size_in_words

CHUNK = 1 << 20
UNPACKING = ".unpacking-"  # how the name of a folder begins that is being unpacked to
TIMEOUT = 60  # seconds of silence
Progress = Callable[[int, int], object]  # (bytes here, bytes in all)


@dataclass(frozen=True)
class Archive:
    """One file of a data set as its own page has it, and what it holds."""

    name: str
    urls: tuple[str, ...] = ()  # tried in turn; none: only a person can fetch it
    digest: str | None = None  # "md5:..." or "sha256:..."
    size: int | None = None  # bytes
    into: str = "."  # the folder below the root that it is unpacked in
    gives: tuple[str, ...] = ()  # what is in that folder then; nothing: it is used as it is


def fetch(archive: Archive, folder: Path, progress: Progress | None = None) -> Path:
    """The file in `folder`, fetched where it is not there; a cut download is continued.

    Until it is whole and its digest is right it has another name, so no half of it is ever used.
    Half a download is removed once the file is there by other means.

    Raises:
        ConfigError: where the disk is too small for it.
        DataError: where it can't be fetched, with how much is here; or is not what it should be.
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
    """Remove what a cut download left, where it is not needed any more."""
    (folder / f".{archive.name}.part").unlink(missing_ok=True)


def verify(archive: Archive, path: Path) -> None:
    """Raises DataError where a file is not the archive; a part of a download is removed then."""
    size = path.stat().st_size
    kind, _, wanted = (archive.digest or "").partition(":")
    if archive.size not in (None, size):
        found, meant = f"{size} bytes", f"{archive.size}"
    elif kind and (digest := _digest(path, kind)) != wanted:
        found, meant = f"{kind} {digest}", wanted
    else:
        return
    if path.suffix == ".part":
        path.unlink()
    raise DataError(
        f"{path.with_name(archive.name)} is not what it should be: it has {found}, not {meant}. It "
        "was cut off, damaged, or replaced where it comes from. Get it again."
    )


def unpack(archive: Archive, path: Path, root: Path) -> None:
    """What the tar file `path` holds, in the archive's folder below `root`.

    It is unpacked beside and moved there entry by entry; what is there already stays. What a killed
    process had unpacked is removed.

    Raises:
        ConfigError: where the disk is too small.
        DataError: for a damaged file.
    """
    folder = root / archive.into
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder, prefix=UNPACKING)
    check_space(folder, path.stat().st_size, f"unpacking {path}")
    with held(lambda: Path(tempfile.mkdtemp(dir=folder, prefix=UNPACKING))) as aside:
        try:
            with tarfile.open(path) as tar:
                tar.extractall(aside, filter="data")
            for entry in sorted(aside.iterdir()):
                if not (folder / entry.name).exists():
                    os.rename(entry, folder / entry.name)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise DataError(f"{path} can't be unpacked ({error}). Get it again.") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _download(archive: Archive, part: Path, progress: Progress | None) -> None:
    said = []
    for url in archive.urls:
        try:
            return _continue(url, archive, part, progress)
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            said.append(f"{url}: {error}")
    here = size_in_words(part.stat().st_size) if part.exists() else "nothing"
    of = f" of {size_in_words(archive.size)}" if archive.size else ""
    raise DataError(
        f"{archive.name} could not be fetched ({'; '.join(said)}). {here}{of} is here; the same "
        f"command goes on from there. Or put the file into {part.parent.resolve()} by hand."
    )


def _continue(url: str, archive: Archive, part: Path, progress: Progress | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have and have == archive.size:
        return
    with _opened(url, have) as response:
        if response.status != 206:  # the server starts from the beginning
            have = 0
        left = int(response.headers.get("Content-Length") or 0)
        total = have + left
        needed = left + (total if archive.gives else 0)  # what it holds is about as large
        check_space(part.parent, needed, f"{archive.name}, with what it holds,")
        with part.open("ab" if have else "wb") as file:
            while chunk := response.read(CHUNK):
                have += file.write(chunk)
                if progress is not None:
                    progress(have, total)
    if left and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _opened(url: str, start: int) -> http.client.HTTPResponse:
    """The answer to a request for the bytes from `start` on; all where there are no such bytes."""
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
