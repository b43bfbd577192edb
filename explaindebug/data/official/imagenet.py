"""ImageNet's validation pictures, with classes in the order of torchvision's weights.

That order is the alphabetical one of the 1,000 WordNet numbers: 0 is n01440764, a tench.

Source: Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, 2015.
"""

import re
from pathlib import Path

import numpy as np

from explaindebug.core.errors import DataError
from explaindebug.data.folder_layout import PICTURES
from explaindebug.data.image_files import read_mat
from explaindebug.data.official.source import Found, entries, listed
from explaindebug.data.photos import Photo

CLASSES = 1000
WNID = re.compile(r"n\d{8}")
NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})")
FOLDERS = (".", "val", "ILSVRC2012_img_val", "validation")
LISTS = ("LOC_synset_mapping.txt", "synset_words.txt", "classes.txt")
DEVKITS = ("ILSVRC2012_devkit_t12/data", "data", ".")
PAGE = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"


def imagenet(root: Path) -> Found:
    """All pictures below the root, with the label of their class among the 1,000.

    Three layouts: a folder per class, named by its WordNet number (`val/n01440764/x.JPEG`);
    pictures in one folder whose names begin with it (`n01440764_tench.JPEG`); and, as published,
    numbered pictures (`ILSVRC2012_val_00000001.JPEG`) beside the development kit
    `ILSVRC2012_devkit_t12`. If only some of the classes are there, a list of all 1,000 numbers, one
    per line, is needed too: LOC_synset_mapping.txt, synset_words.txt or classes.txt, or the
    development kit.

    Raises:
        DataError: if none of these is found, or the 1,000 numbers are unknown.
    """
    for folder in (root / name for name in FOLDERS):
        for found in (_by_folder(folder), _by_name(folder), _numbered(folder, root)):
            if found:
                return _labelled(found, root)
    raise DataError(_nothing(root))


def _labelled(found: list[tuple[Path, str]], root: Path) -> Found:
    wnids = _wnids({wnid for _, wnid in found}, root)
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    unknown = sorted({wnid for _, wnid in found} - set(wnids))
    if unknown:
        raise DataError(
            f"pictures in {root.resolve()} are of {listed(unknown, 3)}, which are not among the "
            "1,000 classes of the list beside them. Remove them or fix the list."
        )
    photos = [Photo(path, None, labels[wnid]) for path, wnid in found]
    return Found(_names(), photos)


def _by_folder(folder: Path) -> list[tuple[Path, str]]:
    """Pictures and the numbers of their folders."""
    if not folder.is_dir():
        return []
    own = sorted(path for path in folder.iterdir() if WNID.fullmatch(path.name) and path.is_dir())
    return [(path, here.name) for here in own for path in _pictures(here)]


def _by_name(folder: Path) -> list[tuple[Path, str]]:
    """Pictures whose names begin with their number."""
    return [(path, m[0]) for path in _pictures(folder) if (m := WNID.match(path.name))]


def _numbered(folder: Path, root: Path) -> list[tuple[Path, str]]:
    """Numbered pictures with their classes from the development kit."""
    found = [(path, int(m[1])) for path in _pictures(folder) if (m := NUMBERED.match(path.name))]
    if not found:
        return []
    kit = _devkit(root)
    if kit is None:
        raise DataError(
            f"{folder.resolve()} has numbered pictures ({found[0][0].name}), but their classes are "
            f"in the development kit, which is not in {root.resolve()}. Download "
            f"ILSVRC2012_devkit_t12.tar.gz from {PAGE} and unpack it there."
        )
    wnids = dict(_synsets(kit))
    truth = (kit / "ILSVRC2012_validation_ground_truth.txt").read_text().split()
    beyond = [path.name for path, number in found if not 1 <= number <= len(truth)]
    if beyond:
        raise DataError(
            f"{kit} has the classes of {len(truth)} pictures, but {len(beyond)} have other "
            f"numbers: {listed(beyond, 3)}. Download the development kit again."
        )
    return [(path, wnids[int(truth[number - 1])]) for path, number in found]


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in shown if path.suffix.lower() in PICTURES)


def _devkit(root: Path) -> Path | None:
    kits = (root / name for name in DEVKITS)
    return next((kit for kit in kits if (kit / "meta.mat").is_file()), None)


def _synsets(kit: Path) -> list[tuple[int, str]]:
    """The development kit's number (1 to 1,000) and the WordNet number of each class."""
    rows = np.atleast_1d(read_mat(kit / "meta.mat", "synsets")["synsets"])
    found = [(int(row["ILSVRC2012_ID"]), str(row["WNID"])) for row in rows]
    return [(number, wnid) for number, wnid in found if number <= CLASSES]


def _wnids(seen: set[str], root: Path) -> list[str]:
    """The WordNet numbers of all 1,000 classes, in order."""
    if len(seen) == CLASSES:
        return sorted(seen)
    lists = [root / name for name in LISTS if (root / name).is_file()]
    for path in lists:
        found = {m[0] for line in path.read_text().splitlines() if (m := WNID.search(line))}
        if len(found) == CLASSES:
            return sorted(found)
    if (kit := _devkit(root)) is not None:
        return sorted(wnid for _, wnid in _synsets(kit))
    short = f"; {listed([p.name for p in lists])} has another number of them" if lists else ""
    raise DataError(
        f"{root.resolve()} has pictures of {len(seen)} classes, but no list of all 1,000{short}, "
        f"so their labels are unknown. Add one of {', '.join(LISTS)}, with a WordNet number "
        "(n01440764) per line, or unpack the development kit there."
    )


def _names() -> tuple[str, ...]:
    """Torchvision's names of the classes."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def _nothing(root: Path) -> str:
    tar = root / "ILSVRC2012_img_val.tar"
    if tar.is_file():
        return f"{tar} is not unpacked: tar -xf it into {root.resolve() / 'val'}."
    if not root.is_dir():
        there = "there is no such folder"
    else:
        names = entries(root)
        there = f"it has {listed(names) if names else 'nothing'}"
    return (
        f"no pictures of ImageNet in {root.resolve()}: {there}. Expected are folders named by "
        "class (val/n01440764/...), pictures named by class (n01440764_....JPEG), or numbered ones "
        "(ILSVRC2012_val_00000001.JPEG) beside ILSVRC2012_devkit_t12. They come from "
        f"{PAGE}, which requires signing in, so download them by hand and set data.root to the "
        "folder."
    )
