"""Pictures that a table lists with class, group and split: Waterbirds, CelebA, WILDS, ISIC, ...

Columns are recognised by the names that these data sets have; `columns` says which are meant
otherwise.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.registry import nearest
from explaindebug.data.folder_layout import PICTURES, missing
from explaindebug.data.folder_layout import some as some_paths
from explaindebug.data.masks import MaskFile
from explaindebug.data.photos import Photo
from explaindebug.data.splits import SPLITS
from explaindebug.data.tables import Table, read_table, some

# What a column may be called, in order of preference.
USUAL = {
    "file": ("img_filename", "filename", "file", "file_name", "path", "image_path", "image_id",
             "image_name", "isic_id", "image", "img"),
    "label": ("y", "label", "class", "target", "Blond_Hair", "benign_malignant", "category",
              "diagnosis"),
    "group": ("place", "a", "group", "Male", "background", "attribute", "patches", "domain",
              "environment", "hospital", "center", "location"),
    "split": ("split", "partition", "fold", "set"),
    "mask": ("mask", "mask_filename", "mask_path", "segmentation"),
}  # fmt: skip
NEEDED = ("file", "label", "group")
TABLES = ("metadata.csv", "list_attr_celeba.csv", "list_attr_celeba.txt")
PARTITIONS = ("list_eval_partition.csv", "list_eval_partition.txt")  # of CelebA, beside its table
FOLDERS = (".", "images", "img_align_celeba", "img_align_celeba/img_align_celeba")
SPELT = {
    "0": "train", "train": "train", "training": "train", "tr": "train",
    "1": "val", "val": "val", "valid": "val", "validation": "val", "dev": "val", "va": "val",
    "2": "test", "test": "test", "testing": "test", "te": "test",
}  # fmt: skip
WATERBIRDS = {"place_filename", "place", "y"}  # columns by which it is recognised
Names = Mapping[Any, str] | Sequence[str] | None


@dataclass(frozen=True)
class Grouped(Photo):
    """A picture with its group and its split; None where the table has no splits."""

    group: int = 0
    split: str | None = None


@dataclass(frozen=True)
class Listing:
    """All pictures of a table, not yet read."""

    photos: list[Grouped]
    classes: tuple[str, ...]
    groups: tuple[str, ...]


def listed(
    root: Path,
    table: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    *,
    images: str | None = None,
    classes: Names = None,
    groups: Names = None,
    splits: Mapping[str, Any] | None = None,
    convention: str = "binary",
) -> Listing:
    """The pictures of the table; see `explaindebug.datamodules.Groups` for the arguments.

    Raises:
        ConfigError: for a column, a value or a name that is not in the table.
        DataError: for a table that is missing or unclear, files that are missing, listed twice or
            outside the root, or masks of only some pictures.
    """
    found = find_table(root, table)
    which = chosen(found, columns or {})
    labels, class_names = _named(found, which["label"], classes, "classes")
    kinds, group_names = _named(found, which["group"], groups, "groups")
    parts = _parts(found, which["split"], splits)
    files = _files(found, which["file"], root, images)
    masks = _masks(found, which["mask"], root, convention)
    photos = [
        Grouped(file, mask, label, split == "test", group, split)
        for file, mask, label, group, split in zip(files, masks, labels, kinds, parts, strict=True)
        if split != ""
    ]
    return Listing(photos, class_names, group_names)


def find_table(root: Path, name: str | None) -> Table:
    """The table of this name, or one that is called as in a known data set, or the only one."""
    if not root.is_dir():
        raise DataError(
            f"there is no folder {str(root)!r} (that is {root.resolve()}). Set data.root to the "
            "folder with the table and the pictures."
        )
    if name is not None:
        path = root / within(name, root, "table")
    else:
        there = sorted(p for p in root.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
        usual = [root / known for known in TABLES if (root / known).is_file()]
        if not usual and len(there) != 1:
            names = [p.name for p in there] or sorted(p.name for p in root.iterdir())
            raise DataError(
                f"{root.resolve()} has {len(there)} tables and none of {', '.join(TABLES)}; there "
                f"{'is' if len(names) == 1 else 'are'} {some(names) or 'nothing'}. Set data.table."
            )
        path = (usual or there)[0]
    if not path.is_file():
        raise DataError(f"there is no table {path}. Set data.table to its name below data.root.")
    found = read_table(path)
    if path.name.startswith("list_attr_celeba"):
        for partition in PARTITIONS:
            if (path.parent / partition).is_file():
                return found.joined(read_table(path.parent / partition))
    return found


def chosen(table: Table, columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Which column of the table is which: as told, else the first that is called as usual."""
    for key in columns:
        if key not in USUAL:
            raise ConfigError(
                f"columns: unknown key {key!r}.{nearest(str(key), list(USUAL))} Known: "
                f"{', '.join(USUAL)}."
            )
    own = {name.lower(): name for name in reversed(list(table.columns))}
    which: dict[str, str | None] = {}
    for key, names in USUAL.items():
        guesses = [own[name.lower()] for name in names if name.lower() in own]
        which[key] = columns[key] if key in columns else next(iter(guesses), None)
        if which[key] is not None:
            _ = table[str(which[key])]
        elif key in NEEDED:
            raise ConfigError(
                f"{table.path} has no column that is known to hold each picture's {key}. Say which "
                f"one does, columns={{{key}: NAME}}; it has: {some(list(table.columns))}."
            )
    return which


def within(name: str, root: Path, what: str) -> PurePosixPath:
    """A path of a table or an option, which must lie below the root.

    Raises:
        DataError: for one that leads out of it.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            break
    if path.is_absolute() or depth < 0:
        raise DataError(
            f"{what} {name!r} leads out of {root}. Paths in a table must stay below data.root."
        )
    return path


def _named(
    table: Table, column: str | None, names: Names, option: str
) -> tuple[list[int], tuple[str, ...]]:
    """Numbers of a column's values, in order, and the values' names."""
    cells = table[str(column)]
    if empty := [i for i, cell in enumerate(cells) if cell == ""]:
        raise DataError(
            f"{len(empty)} of {len(cells)} rows of {table.path} have no {column}, the first is row "
            f"{empty[0] + 1}. Fill them, or remove the rows."
        )
    values = sorted(set(cells), key=_order)
    if len(values) < 2:
        raise DataError(
            f"the column {column!r} of {table.path} has one value, {values[0]}, but two or more "
            f"{option} are needed."
        )
    if len(values) > len(cells) / 2 and len(cells) > 8:
        raise DataError(
            f"the column {column!r} of {table.path} has {len(values)} values in {len(cells)} rows, "
            f"so it can't hold {option}. Choose another one with columns."
        )
    called = _called(table, str(column), values, names, option)
    return [values.index(cell) for cell in cells], tuple(called)


def _called(
    table: Table, column: str, values: Sequence[str], names: Names, option: str
) -> Sequence[str]:
    """The names of a column's values: those given, those of a known data set, or the values."""
    if names is None and set(table.columns) >= WATERBIRDS and set(values) == {"0", "1"}:
        known = {"y": ("landbird", "waterbird"), "place": ("land", "water")}
        names = known.get(column)
    if names is None:
        both = set(values) in ({"0", "1"}, {"-1", "1"})
        if both and column[:1].isupper():  # an attribute, such as CelebA's Blond_Hair
            return [f"not {column}", column]
        return [f"{column} {value}" if _order(value)[0] == 0 else value for value in values]
    given = dict(names) if isinstance(names, Mapping) else dict(zip(values, names, strict=False))
    told = {str(value): str(name) for value, name in given.items()}
    count = len(given) if isinstance(names, Mapping) else len(names)
    if set(told) != set(values) or count != len(values):
        raise ConfigError(
            f"{option}={names!r}, but the column {column!r} of {table.path} has {len(values)} "
            f"values: {some(values)}. Give a name for each, in this order or as {{value: name}}."
        )
    if len(set(told.values())) < len(told):
        raise ConfigError(f"{option}={names!r} has a name twice.")
    return [told[value] for value in values]


def _order(value: str) -> tuple[int, float, str]:
    """Numbers first, by size, then words."""
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)


def _parts(
    table: Table, column: str | None, splits: Mapping[str, Any] | None
) -> Sequence[str | None]:
    """The split of each row: None for all without such a column, "" for rows that are left out."""
    if column is None:
        if splits:
            raise ConfigError(f"splits={dict(splits)}, but {table.path} has no column of splits.")
        return [None] * len(table)
    cells = table[column]
    if splits is None:
        known = SPELT
        unknown = sorted({cell for cell in cells if cell.lower() not in known}, key=_order)
        if unknown:
            raise ConfigError(
                f"the column {column!r} of {table.path} has {some(unknown, 5)}, which is no split "
                "that is known (0, 1, 2 or train, val, test). Say which values are which, "
                "splits={train: ..., val: ..., test: ...}; rows of other values are left out."
            )
        return [known[cell.lower()] for cell in cells]
    told: dict[str, str] = {}
    for split, values in splits.items():
        if split not in SPLITS:
            raise ConfigError(f"splits: {split!r} is none of {', '.join(SPLITS)}.")
        for value in values if isinstance(values, list | tuple) else [values]:
            told[str(value)] = split
    if absent := [value for value in told if value not in cells]:
        raise ConfigError(
            f"splits: no row of {table.path} has {some(absent, 5)} as its {column}; there are "
            f"{some(sorted(set(cells), key=_order))}."
        )
    return [told.get(cell, "") for cell in cells]


def _files(table: Table, column: str | None, root: Path, images: str | None) -> list[Path]:
    """The picture of each row, checked that it is there, once."""
    names = table[str(column)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f"{table.path} lists {len(twice)} files more than once: {some(twice, 3)}. A picture "
            "may have one row only."
        )
    parts = [within(name, root, f"a file of {table.path},") for name in names]
    folders = FOLDERS if images is None else (str(within(images, root, "images")),)
    home = next((f for f in folders if _picture(root / f / parts[0]) is not None), folders[0])
    start = root / home
    ending = "" if parts[0].suffix.lower() in PICTURES else _ending(start / parts[0])
    paths = [start / f"{part}{ending}" for part in parts]
    _refuse_missing(paths, table, "images")
    return paths


def _picture(path: Path) -> Path | None:
    """The file at a path, which may lack its ending."""
    if path.suffix.lower() in PICTURES:
        return path if path.exists() else None
    return next((p for e in sorted(PICTURES) if (p := Path(f"{path}{e}")).exists()), None)


def _ending(path: Path) -> str:
    found = _picture(path)
    return "" if found is None else found.suffix


def _refuse_missing(paths: Sequence[Path], table: Table, option: str) -> None:
    if absent := missing(paths):
        raise DataError(
            f"{len(absent)} of {len(paths)} files that {table.path} lists are missing: "
            f"{some_paths(absent)}. Fetch them, remove their rows, or set data.{option} to the "
            "folder below data.root that the table's paths start in."
        )


def _masks(
    table: Table, column: str | None, root: Path, convention: str
) -> Sequence[MaskFile | None]:
    """The mask of each picture, or None for all."""
    if column is None or not any(table[column]):
        return [None] * len(table)
    names = table[column]
    if bare := names.count(""):
        raise DataError(
            f"{bare} of {len(names)} pictures of {table.path} have no mask, but the others have. "
            "Add them, or use none: columns={mask: null}."
        )
    paths = [root / within(name, root, f"a mask of {table.path},") for name in names]
    _refuse_missing(paths, table, "root")
    return [MaskFile(path, convention) for path in paths]
