"""Find the files of a class by patterns, and match pictures with their masks."""

import glob
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.core.registry import nearest
from explaindebug.data.masks import CONVENTIONS, MaskFile

PICTURES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
}
LEFTOVERS = {"thumbs.db", "desktop.ini"}  # of file managers, ignored without a warning


@dataclass(frozen=True)
class ClassFiles:
    """Pictures and masks of one class: patterns below the root, with `**` for any depth.

    A picture and its mask have the same path below the fixed part of their patterns, except for the
    extension: with `images/**/*.jpg` and `masks/**/*.png`, the mask of `images/a/1.jpg` is
    `masks/a/1.png`. Extensions also match in upper case. A part of a pattern that exists literally
    is not a wildcard, so a folder may be called `birds [1]`.

    Raises:
        ConfigError: for an unknown mask convention.
    """

    images: str
    masks: str | None = None
    convention: str = "binary"
    border: bool = False  # trimaps only: the border belongs to the object

    def __post_init__(self) -> None:
        CONVENTIONS[self.convention]  # raises for an unknown one

    @classmethod
    def of(cls, name: str, spec: Any) -> "ClassFiles":
        """From a mapping of these fields, or from a pattern of pictures only."""
        if isinstance(spec, cls):
            return spec
        spec = {"images": spec} if isinstance(spec, str) else spec
        known = [f.name for f in fields(cls)]
        if not isinstance(spec, Mapping) or "images" not in spec:
            raise ConfigError(f"class {name!r} needs an `images` pattern, got {spec!r}.")
        for key in spec:
            if key not in known:
                hint = nearest(str(key), known)
                raise ConfigError(
                    f"class {name!r}: unknown option {key!r}.{hint} Known: {', '.join(known)}."
                )
        return cls(**spec)

    def pairs(self, root: Path, name: str) -> list[tuple[Path, Path | None]]:
        """Every picture of the class with its mask, ordered by path.

        Raises:
            DataError: if nothing matches a pattern, a picture has no mask or several, or a mask
                several pictures.
        """
        others = (self.masks,) if self.masks else ()
        images = find(root, self.images, f"pictures of class {name!r}", others)
        if self.masks is None:
            return [(path, None) for path in images]
        found_masks = find(root, self.masks, f"masks of class {name!r}", (self.images,))
        masks = _keyed(found_masks, root, self.masks, name, "two masks for one picture")
        _keyed(images, root, self.images, name, "two pictures of one name, for one mask")
        start = fixed_part(root, self.images)
        found = [(path, masks.get(_key(path, start))) for path in images]
        bare = [path for path, mask in found if mask is None]
        if bare:
            raise DataError(
                f"{len(bare)} of {len(images)} pictures of class {name!r} have no mask: "
                f"{some(bare)}. The mask of {bare[0].name} would be "
                f"{fixed_part(root, self.masks) / _key(bare[0], start)} with an extension that "
                f"{self.masks!r} allows. Add the masks, or remove the pictures."
            )
        return [(path, mask) for path, mask in found if mask is not None]

    def all_masks(self, root: Path) -> set[Path]:
        """All existing masks, with or without a picture."""
        return set(_scan(root, self.masks).found) if self.masks else set()

    def mask(self, path: Path | None) -> MaskFile | None:
        """The mask file with the convention by which it is read."""
        return None if path is None else MaskFile(path, self.convention, self.border)


@dataclass(frozen=True)
class _Scan:
    """The files that a pattern matches, and near misses."""

    found: list[Path]
    dangling: list[Path]  # broken links in place of pictures or their folders
    unreadable: list[Path]  # folders
    kinds: list[Path]  # matches that are not picture files
    extensions: list[Path]  # pictures that would match with another extension


def find(root: Path, pattern: str, what: str, others: Sequence[str] = ()) -> list[Path]:
    """The picture files that match, ordered by path, each once; hidden files never match.

    A DataWarning names near misses that are left out: files of other kinds, and pictures that would
    match with another extension, unless they match one of the patterns in `others`.

    Raises:
        DataError: if the root is not a folder, nothing matches, or there are broken links or
            folders that can't be read.
    """
    if not root.is_dir():
        raise DataError(
            f"there is no folder {str(root)!r} (that is {root.resolve()}) in which to look for "
            f"{what} as {pattern!r}. Set `root` to the folder that holds the data."
        )
    scan = _scan(root, pattern)
    if scan.dangling:
        raise DataError(
            f"{len(scan.dangling)} of {len(scan.dangling) + len(scan.found)} {what} are broken "
            f"links: {some(scan.dangling)}. Fetch the files (with git-annex or DataLad: get), or "
            "remove the links."
        )
    if scan.unreadable:
        raise DataError(
            f"{what} may be in folders that can't be read: {some(scan.unreadable)}. Change their "
            "permissions, or move them away."
        )
    left_out = "; ".join(_left_out(root, scan, others))
    if not scan.found:
        raise DataError(
            f"no {what}: no picture in {root.resolve()} matches {pattern!r}."
            f"{f' There are {left_out}.' if left_out else ''}{_nearby(root, pattern)}"
        )
    if left_out:
        warnings.warn(
            f"{what}: {pattern!r} matches {len(scan.found)} in {root}. Left out: {left_out}.",
            DataWarning,
            stacklevel=2,
        )
    return scan.found


def fixed_part(root: Path, pattern: str) -> Path:
    """The folder that contains a pattern's first wildcard."""
    return root.joinpath(*_parts(root, pattern)[0])


def folder_there(path: Path) -> bool:
    """Whether a folder exists.

    Raises:
        DataError: for a broken link.
    """
    if _dangles(path):
        raise DataError(
            f"{path} is a link to {os.readlink(path)}, which does not exist. Restore it, or "
            "remove the link."
        )
    return path.is_dir()


def _parts(root: Path, pattern: str) -> tuple[list[str], list[str]]:
    """The fixed folders that a pattern begins with, and its other parts: at least one."""
    parts = list(Path(pattern).parts)
    fixed: list[str] = []
    while len(parts) > 1 and (name := _literal(root.joinpath(*fixed), parts[0])) is not None:
        fixed.append(name)
        parts.pop(0)
    return fixed, parts


def _literal(folder: Path, part: str) -> str | None:
    """The name that a part of a pattern stands for, or None for a wildcard."""
    if not glob.has_magic(part) or os.path.lexists(folder / part):
        return part
    plain = part.replace("[*]", "*").replace("[?]", "?").replace("[[]", "[")
    return plain if glob.escape(plain) == part else None


def _scan(root: Path, pattern: str) -> _Scan:
    fixed, rest = _parts(root, pattern)
    start = root.joinpath(*fixed)
    *folders, last = rest if rest[-1] != "**" else [*rest, "*"]
    if (name := _literal(start.joinpath(*folders), last)) is not None:
        last = glob.escape(name)
    scan = _Scan([], [], [], [], [])
    entries = sorted(set(_below(start, [*folders, "*"])))
    for path in entries:
        _sort_in(path, last, "**" in folders, scan)
    for depth in range(1, 1 + (folders.index("**") if "**" in folders else len(folders))):
        scan.dangling.extend(path for path in _below(start, folders[:depth]) if _dangles(path))
    scan.dangling.extend(path for path in (start, *start.parents) if _dangles(path))
    return scan


def _below(start: Path, parts: Sequence[str]) -> Iterator[Path]:
    pattern = Path(glob.escape(str(start))).joinpath(*parts)
    return (Path(path) for path in glob.iglob(str(pattern), recursive=True))


def _sort_in(path: Path, last: str, recursive: bool, scan: _Scan) -> None:
    picture = path.suffix.lower() in PICTURES
    matches = fnmatchcase(_plain(path.name), _plain(last))
    if path.is_file():
        if picture and matches:
            scan.found.append(path)
        elif picture and fnmatchcase(path.stem, Path(last).stem):
            scan.extensions.append(path)
        elif matches and path.name.lower() not in LEFTOVERS:
            scan.kinds.append(path)
    elif _dangles(path):
        if (picture and matches) or (recursive and not path.suffix):
            scan.dangling.append(path)
    elif recursive and path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        scan.unreadable.append(path)
    elif picture and matches:
        scan.kinds.append(path)


def _plain(name: str) -> str:
    """A name or pattern with its extension in lower case."""
    stem, dot, extension = name.rpartition(".")
    return f"{stem}{dot}{extension.lower() if dot else extension}"


def _dangles(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _left_out(root: Path, scan: _Scan, others: Sequence[str]) -> Iterator[str]:
    if scan.kinds:
        yield f"{len(scan.kinds)} that are not pictures of a known format ({some(scan.kinds)})"
    elsewhere = {path for other in others if scan.extensions for path in _scan(root, other).found}
    if extensions := [path for path in scan.extensions if path not in elsewhere]:
        yield f"{len(extensions)} pictures with another extension ({some(extensions)})"


def some(paths: Sequence[Path], most: int = 3) -> str:
    """The first few paths, for a message."""
    rest = len(paths) - most
    return ", ".join(map(str, paths[:most])) + (f" and {rest} more" if rest > 0 else "")


def missing(paths: Sequence[Path]) -> list[Path]:
    """Those of the paths at which there is nothing; each folder is listed once, not each file."""
    folders = {
        folder: set(os.listdir(folder))
        for folder in {path.parent for path in paths}
        if folder.is_dir()
    }
    return [path for path in paths if path.name not in folders.get(path.parent, ())]


def _keyed(paths: list[Path], root: Path, pattern: str, name: str, twice: str) -> dict[str, Path]:
    start = fixed_part(root, pattern)
    keyed: dict[str, Path] = {}
    for path in paths:
        if (other := keyed.setdefault(_key(path, start), path)) is not path:
            raise DataError(f"class {name!r} has {twice}: {other} and {path}. Remove one.")
    return keyed


def _key(path: Path, start: Path) -> str:
    return path.relative_to(start).with_suffix("").as_posix()


def _nearby(root: Path, pattern: str) -> str:
    """The content of the deepest existing folder of the pattern, as a sentence."""
    folder = fixed_part(root, pattern)
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    if not names:
        return f" {folder.resolve()} is empty."
    return f" {folder.resolve()} contains: {', '.join(names[:8])}."
