"""Places365: scenes of one category, from its small pictures (256 x 256).

Source: Zhou, Lapedriza, Khosla, Oliva, Torralba: Places, TPAMI 2017.
"""

from pathlib import Path

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.registry import nearest
from explaindebug.data.download import Archive
from explaindebug.data.folder_layout import find
from explaindebug.data.official.source import Source, listed, table

TRAINING = ("data_256_standard", "data_256")  # torchvision renames the second
HOMES = ("places365", "Places365", ".")


NEEDS = ("val_256", "places365_val.txt", "categories_places365.txt")
ADDRESS = "http://data.csail.mit.edu/places/places365"


def _archive(name: str, md5: str, *gives: str) -> Archive:
    """Addresses and digests are those that torchvision's `Places365` fetches.

    Its download is not used, for the same reasons as that of `OxfordIIITPet` in pets.py.
    """
    return Archive(name, (f"{ADDRESS}/{name}",), f"md5:{md5}", into=HOMES[0], gives=gives)


PLACES = Source(
    "Places365",
    "http://places2.csail.mit.edu/download.html",
    HOMES,
    NEEDS,
    (  # lists, and the 36,500 validation pictures: half a GB
        _archive("filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c", *NEEDS[1:]),
        _archive("val_256.tar", "e27b17d8d44f4af9a78502beb927f808", NEEDS[0]),
    ),
)


def places(root: Path, category: str) -> list[Path]:
    """Pictures of a category, `sky` or `bamboo_forest`: all to train on, else all to validate.

    Raises:
        ConfigError: for a category that there is not.
        DataError: where neither is there, or files of it are absent.
    """
    for folder in (root / home / name for home in HOMES for name in TRAINING):
        if folder.is_dir():
            return _training(folder, category)
    home = PLACES.home(root)
    number = _number(home, category)
    rows = table(home / "places365_val.txt", 2)
    paths = [home / "val_256" / name for name, label in rows if label == number]
    absent = [path.name for path in paths if not path.is_file()]
    if absent or not paths:
        raise DataError(
            f"Places365: {len(absent)} of {len(paths)} pictures of {category!r} that "
            f"{home / 'places365_val.txt'} lists are absent: {listed(absent, 3)}. They were not "
            f"unpacked whole: remove {home / 'val_256'} and unpack val_256.tar again."
        )
    return paths


def _training(folder: Path, category: str) -> list[Path]:
    here = folder / category[:1] / category
    if not category or not here.is_dir():
        known = [path.name for path in folder.glob("?/*") if path.is_dir()]
        raise _unknown(category, known, folder)
    return find(here, "*.jpg", f"pictures of {category!r}")


def _number(home: Path, category: str) -> str:
    """The category's number; the list has it as `/s/sky 307`."""
    known = {name[3:]: number for name, number in table(home / NEEDS[2], 2)}
    if category not in known:
        raise _unknown(category, list(known), home / NEEDS[2])
    return known[category]


def _unknown(category: str, known: list[str], where: Path) -> ConfigError:
    hint = nearest(category, known)
    return ConfigError(
        f"Places365 has no category {category!r} in {where}.{hint} There are {len(known)}, "
        "`sky` and `bamboo_forest` among them."
    )
