"""Locate an official data set below the root, download and unpack it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from explaindebug.core.errors import DataError
from explaindebug.core.io import size_in_words
from explaindebug.data.download import Archive, Progress, discard_part, fetch, unpack, verify
from explaindebug.data.folder_layout import missing
from explaindebug.data.photos import Photo


class Found(NamedTuple):
    """The pictures of a data set, not yet read."""

    classes: tuple[str, ...]
    photos: list[Photo]


@dataclass(frozen=True)
class Source:
    """An official data set: its name, its possible folders, and its source.

    Args:
        title: its name.
        page: its home page.
        homes: folders below the root that may hold it.
        needs: files and folders in its home.
        archives: its downloads.
        optional: whether the data can be used without it.
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
            DataError: if none does, with what was found, what was expected, and what to do.
        """
        for place in self.homes:
            if not self._missing(root / place):
                return root / place
        raise DataError(f"{self._what_is_there(root)} {self._what_to_do(root)}")

    def prepare(self, root: Path, *, download: bool, progress: Progress | None = None) -> None:
        """Unpack its archives unless it is there; with `download`, fetch missing archives first.

        If it is there, leftovers of interrupted downloads are removed.

        Raises:
            ConfigError: if there is not enough disk space.
            DataError: if an archive can't be downloaded, or is damaged.
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
        names = entries(root)
        return (
            f"{self.title} is not in {where}: {listed(list(self.needs))} should be there, or below "
            f"it in {listed([home for home in self.homes if home != '.'])}; there "
            f"{'is' if len(names) < 2 else 'are'} {listed(names) if names else 'nothing'}."
        )

    def _what_to_do(self, root: Path) -> str:
        size = sum(archive.size or 0 for archive in self.archives)
        about = f" ({size_in_words(size)})" if size else ""
        remedy = "Set data.root to the folder that has it"
        if not self.archives:
            return f"{remedy}; it comes from {self.page}."
        if all(archive.urls for archive in self.archives):
            remedy += f", or data.download=true to download it{about}"
        names = listed([archive.name for archive in self.archives], most=4)
        where = sorted({str((root / archive.into).resolve()) for archive in self.archives})
        return f"{remedy}; or put {names} from {self.page} into {' and '.join(where)}."


def check_there(sources: Sequence[Source], root: Path) -> None:
    """Raises one DataError for all missing data sets, so that they can be fetched together."""
    errors = []
    for source in sources:
        try:
            if not source.optional:
                source.home(root)
        except DataError as error:
            errors.append(str(error))
    if errors:
        raise DataError(" ".join(errors))


def entries(folder: Path) -> list[str]:
    """The names in a folder, sorted; those of folders end in a slash."""
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())


def listed(names: list[str], most: int = 8) -> str:
    """The first few names, for a message."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def table(path: Path, columns: int) -> list[list[str]]:
    """The words of a text file's lines, `columns` each; empty lines and comments (#) are skipped.

    Raises:
        DataError: for a file that is not text, or a line with another number of words.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read as text ({error}). Download it again.") from error
    rows = [(i, line.split()) for i, line in enumerate(lines, 1) if line.strip()]
    rows = [(i, row) for i, row in rows if not row[0].startswith("#")]
    for i, row in rows:
        if len(row) != columns:
            raise DataError(
                f"line {i} of {path} has {len(row)} words, {' '.join(row)!r}, not {columns}. The "
                "file is truncated or a different one: download it again."
            )
    if not rows:
        raise DataError(f"{path} is empty. Download it again.")
    return [row for _, row in rows]


def all_there(photos: list[Photo], listed_in: Path, title: str) -> list[Photo]:
    """The photographs, checked that all of their files exist.

    Raises:
        DataError: with the number of missing files, and the first few.
    """
    paths = [photo.image for photo in photos]
    paths += [photo.mask.path for photo in photos if photo.mask is not None]
    if absent := [str(path) for path in missing(paths)]:
        raise DataError(
            f"{title}: {len(absent)} of {len(paths)} files listed in {listed_in} are missing: "
            f"{listed(absent, 3)}. It was not unpacked completely: remove its folder and unpack it "
            "again."
        )
    return photos
