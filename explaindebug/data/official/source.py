"""Where a data set is below the root, and how it comes there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from explaindebug.core.errors import DataError
from explaindebug.core.io import size_in_words
from explaindebug.data.download import Archive, Progress, discard_part, fetch, unpack, verify
from explaindebug.data.photos import Photo


class Found(NamedTuple):
    """The pictures of a data set, nothing read yet."""

    classes: tuple[str, ...]
    photos: list[Photo]


@dataclass(frozen=True)
class Source:
    """An official data set: what it is called, where it may be, and where it comes from.

    Args:
        title: what it is called.
        page: where people find it.
        homes: folders below the root that may hold it.
        needs: files and folders that its home has.
        archives: its files on the network.
        optional: the data can do without.
    """

    title: str
    page: str
    homes: tuple[str, ...]
    needs: tuple[str, ...]
    archives: tuple[Archive, ...] = ()
    optional: bool = False

    def home(self, root: Path) -> Path:
        """The folder that holds it.

        Raises:
            DataError: where none does, with what was found, what was expected, and what to do.
        """
        for place in self.homes:
            if not self._missing(root / place):
                return root / place
        raise DataError(f"{self._what_is_there(root)} {self._what_to_do(root)}")

    def prepare(self, root: Path, *, download: bool, progress: Progress | None = None) -> None:
        """Unpack its archives, where it is not there; with `download` fetch those that are missing.

        Where it is there, what cut downloads of it have left is removed.

        Raises:
            ConfigError: where the disk is too small.
            DataError: where an archive can't be fetched, or is damaged.
        """
        if any(not self._missing(root / place) for place in self.homes):
            self._discard_parts(root)
            return
        for archive in self.archives:
            folder = root / archive.into
            if archive.gives and all((folder / name).exists() for name in archive.gives):
                discard_part(archive, folder)
                continue
            here = [f / archive.name for f in (folder, root) if (f / archive.name).is_file()]
            if not here and download and archive.urls:
                here = [fetch(archive, folder, progress)]
            if here and archive.gives:
                verify(archive, here[0])
                unpack(archive, here[0], root)

    def _discard_parts(self, root: Path) -> None:
        folders = [root, *(root / place for place in self.homes)]
        if any(next(folder.glob(".*.part"), None) for folder in folders):
            for archive in self.archives:
                discard_part(archive, root / archive.into)

    def _missing(self, home: Path) -> list[str]:
        return [name for name in self.needs if not (home / name).exists()]

    def _what_is_there(self, root: Path) -> str:
        where = root.resolve()
        if not root.is_dir():
            return f"{self.title}: there is no folder {str(root)!r} (that is {where})."
        best = min((root / place for place in self.homes), key=lambda f: len(self._missing(f)))
        missing = self._missing(best)
        if len(missing) < len(self.needs):
            return f"{self.title} in {best.resolve()} is not complete: it lacks {listed(missing)}."
        names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
        return (
            f"{self.title} is not in {where}: {listed(list(self.needs))} should be there, or below "
            f"it in {listed([home for home in self.homes if home != '.'])}; there "
            f"{'is' if len(names) < 2 else 'are'} {listed(names) if names else 'nothing'}."
        )

    def _what_to_do(self, root: Path) -> str:
        size = sum(archive.size or 0 for archive in self.archives)
        about = f" ({size_in_words(size)})" if size else ""
        said = "Set data.root to the folder that has it"
        if self.archives and all(archive.urls for archive in self.archives):
            said += f", or data.download=true to fetch it{about}"
        names = listed([archive.name for archive in self.archives], most=4)
        where = sorted({str((root / archive.into).resolve()) for archive in self.archives})
        by_hand = f"; or put {names} from {self.page} into {' and '.join(where)}"
        return f"{said}{by_hand if self.archives else f'; it comes from {self.page}'}."


def check_there(sources: Sequence[Source], root: Path) -> None:
    """Raises DataError for all that is not there at once, so that nobody fetches one by one."""
    said = []
    for source in sources:
        try:
            if not source.optional:
                source.home(root)
        except DataError as error:
            said.append(str(error))
    if said:
        raise DataError(" ".join(said))


def listed(names: list[str], most: int = 8) -> str:
    """The first few names, for a message."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def table(path: Path, columns: int) -> list[list[str]]:
    """The words of a text file's lines, `columns` each; empty lines and comments (#) are skipped.

    Raises:
        DataError: for a file that is no text, or a line with another number of words.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read as text ({error}). Get it again.") from error
    rows = [(i, line.split()) for i, line in enumerate(lines, 1) if line.strip()]
    rows = [(i, row) for i, row in rows if not row[0].startswith("#")]
    for i, row in rows:
        if len(row) != columns:
            raise DataError(
                f"line {i} of {path} has {len(row)} words, {' '.join(row)!r}, not {columns}. The "
                "file was cut off or is another one: get it again."
            )
    if not rows:
        raise DataError(f"{path} is empty. Get it again.")
    return [row for _, row in rows]


def all_there(photos: list[Photo], said_by: Path, title: str) -> list[Photo]:
    """The photographs, where all of their files are there.

    Raises:
        DataError: with how many are not, and the first few.
    """
    paths = [photo.image for photo in photos]
    paths += [photo.mask.path for photo in photos if photo.mask is not None]
    folders = {
        folder: set(os.listdir(folder))
        for folder in {path.parent for path in paths}
        if folder.is_dir()
    }
    absent = [str(path) for path in paths if path.name not in folders.get(path.parent, ())]
    if absent:
        raise DataError(
            f"{title}: {len(absent)} of {len(paths)} files that {said_by} asks for are absent: "
            f"{listed(absent, 3)}. It was not unpacked whole: remove its folder and unpack it "
            "again."
        )
    return photos
