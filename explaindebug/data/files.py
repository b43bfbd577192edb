"""Which files belong to a class, and which mask belongs to which picture."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from explaindebug.data.masks import CONVENTIONS, MaskFile
from explaindebug.errors import ConfigError, DataError
from explaindebug.registry import nearest

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class ClassFiles:
    """Where the pictures and masks of one class are: patterns below the root, `**` for any depth.

    A picture and its mask have the same path below their pattern's fixed part, but for the
    extension: with `images/**/*.jpg` and `masks/**/*.png`, the mask of `images/a/1.jpg` is
    `masks/a/1.png`.

    Raises:
        ConfigError: for an unknown mask convention.
    """

    images: str
    masks: str | None = None
    convention: str = "binary"
    border: bool = False  # trimaps only: the border belongs to the object

    def __post_init__(self) -> None:
        if self.convention not in CONVENTIONS:
            raise ConfigError(
                f"unknown mask convention {self.convention!r}."
                f"{nearest(self.convention, list(CONVENTIONS))} Known: {', '.join(CONVENTIONS)}."
            )

    @classmethod
    def of(cls, name: str, spec: Any) -> "ClassFiles":
        """From a mapping of these fields, or from a pattern of pictures alone."""
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
        """Every picture of the class with its mask, in the order of their paths.

        Raises:
            DataError: where nothing matches a pattern, or a picture has no mask or several.
        """
        images = find(root, self.images, f"pictures of class {name!r}")
        if self.masks is None:
            return [(path, None) for path in images]
        masks = _keyed(find(root, self.masks, f"masks of class {name!r}"), root, self.masks, name)
        start = fixed_part(root, self.images)
        found = [(path, masks.get(_key(path, start))) for path in images]
        bare = [path for path, mask in found if mask is None]
        if bare:
            raise DataError(
                f"{len(bare)} of {len(images)} pictures of class {name!r} have no mask: "
                f"{some(bare)}. A mask of {bare[0].name} would be "
                f"{fixed_part(root, self.masks) / _key(bare[0], start)} with an extension that "
                f"{self.masks!r} allows. Add the masks, or move the pictures away."
            )
        return [(path, mask) for path, mask in found if mask is not None]

    def mask(self, path: Path | None) -> MaskFile | None:
        """How a mask's file is to be read."""
        return None if path is None else MaskFile(path, self.convention, self.border)


def find(root: Path, pattern: str, what: str) -> list[Path]:
    """The picture files that match, in order of their paths; hidden files never do.

    Raises:
        DataError: where the root is no folder, or nothing matches; says what was looked for.
    """
    if not root.is_dir():
        raise DataError(
            f"there is no folder {str(root)!r} (that is {root.resolve()}); {what} were looked for "
            f"in it as {pattern!r}. Set `root` to the folder that holds the data."
        )
    paths = (
        Path(path)
        for path in glob.iglob(str(Path(glob.escape(str(root))) / pattern), recursive=True)
    )
    found = sorted(path for path in paths if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        raise DataError(
            f"no {what}: nothing in {root.resolve()} matches {pattern!r}.{_nearby(root, pattern)}"
        )
    return found


def fixed_part(root: Path, pattern: str) -> Path:
    """The folder that a pattern's first wildcard stands in."""
    parts = Path(pattern).parts[:-1]
    wild = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return root.joinpath(*parts[:wild])


def some(paths: Sequence[Path], most: int = 3) -> str:
    """The first few paths, for a message."""
    rest = len(paths) - most
    return ", ".join(map(str, paths[:most])) + (f" and {rest} more" if rest > 0 else "")


def _keyed(paths: list[Path], root: Path, pattern: str, name: str) -> dict[str, Path]:
    start = fixed_part(root, pattern)
    keyed: dict[str, Path] = {}
    for path in paths:
        if (other := keyed.setdefault(_key(path, start), path)) is not path:
            raise DataError(f"class {name!r} has two masks for one picture: {other} and {path}.")
    return keyed


def _key(path: Path, start: Path) -> str:
    return path.relative_to(start).with_suffix("").as_posix()


def _nearby(root: Path, pattern: str) -> str:
    """What is there instead, as far down the pattern as folders exist."""
    folder = fixed_part(root, pattern)
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())[:8]
    where = (
        f" {folder.resolve()} is empty."
        if not names
        else f" In {folder.resolve()} there are: {', '.join(names)}."
    )
    return where
