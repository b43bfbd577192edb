"""ImageNet's validation pictures, their classes in the order of torchvision's weights.

That order is the alphabetical one of the 1,000 WordNet numbers: 0 is n01440764, a tench.

Source: Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, 2015.
"""

import re
from pathlib import Path

import numpy as np

from explaindebug.core.errors import DataError
from explaindebug.data.folder_layout import PICTURES
from explaindebug.data.image_files import read_mat
from explaindebug.data.official.source import Found, listed
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

    Three layouts: a folder per class, named by its number (`val/n01440764/x.JPEG`); pictures in one
    folder whose names begin with it (`n01440764_tench.JPEG`); and as it comes, numbered pictures
    (`ILSVRC2012_val_00000001.JPEG`) beside the development kit `ILSVRC2012_devkit_t12`. Where
    pictures of some classes only are there, a list of all 1,000 numbers is needed too, a line each:
    LOC_synset_mapping.txt, synset_words.txt or classes.txt, or the development kit.

    Raises:
        DataError: where none of them is there, or the 1,000 numbers can't be told.
    """
    for folder in (root / name for name in FOLDERS):
        for found in (_by_folder(folder), _by_name(folder), _numbered(folder, root)):
            if found:
                return _labelled(found, root)
    raise DataError(_nothing(root))


def _labelled(found: list[tuple[Path, str]], root: Path) -> Found:
    wnids = _wnids({wnid for _, wnid in found}, root)
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    strange = sorted({wnid for _, wnid in found} - set(wnids))
    if strange:
        raise DataError(
            f"pictures in {root.resolve()} are of {listed(strange, 3)}, which are not among the "
            "1,000 classes of the list beside them. Take them away, or mend the list."
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
    """Numbered pictures and what the development kit says of them."""
    found = [(path, int(m[1])) for path in _pictures(folder) if (m := NUMBERED.match(path.name))]
    if not found:
        return []
    kit = _devkit(root)
    if kit is None:
        raise DataError(
            f"{folder.resolve()} has numbered pictures ({found[0][0].name}), but their classes are "
            f"told by the development kit, which is not in {root.resolve()}. Get "
            f"ILSVRC2012_devkit_t12.tar.gz from {PAGE} and unpack it there."
        )
    wnids = dict(_synsets(kit))
    truth = (kit / "ILSVRC2012_validation_ground_truth.txt").read_text().split()
    beyond = [path.name for path, number in found if not 1 <= number <= len(truth)]
    if beyond:
        raise DataError(
            f"{kit} tells the classes of {len(truth)} pictures, but {len(beyond)} have other "
            f"numbers: {listed(beyond, 3)}. Get the development kit again."
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
    """The development kit's own number of each class, and the one of WordNet; 1 to 1,000."""
    rows = np.atleast_1d(read_mat(kit / "meta.mat", "synsets")["synsets"])
    found = [(int(row["ILSVRC2012_ID"]), str(row["WNID"])) for row in rows]
    return [(number, wnid) for number, wnid in found if number <= CLASSES]


def _wnids(seen: set[str], root: Path) -> list[str]:
    """The numbers of all 1,000 classes, in order."""
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
        f"{root.resolve()} has pictures of {len(seen)} classes, and no list of all 1,000{short}, "
        "so that their labels can't be told. Put one of "
        f"{', '.join(LISTS)} there, a WordNet number (n01440764) in each line, or unpack the "
        "development kit there."
    )


def _names() -> tuple[str, ...]:
    """The classes as torchvision calls them."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def _nothing(root: Path) -> str:
    tar = next((p for p in (root / "ILSVRC2012_img_val.tar",) if p.is_file()), None)
    if tar is not None:
        return f"{tar} is not unpacked: tar -xf it into {root.resolve() / 'val'}."
    if not root.is_dir():
        there = "there is no such folder"
    else:
        names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
        there = f"it has {listed(names) if names else 'nothing'}"
    return (
        f"no pictures of ImageNet in {root.resolve()}: {there}. Expected are folders named by "
        "class (val/n01440764/...), pictures named by class (n01440764_....JPEG), or numbered ones "
        "(ILSVRC2012_val_00000001.JPEG) beside ILSVRC2012_devkit_t12. They come from "
        f"{PAGE}, after signing in, so nothing can fetch them for you; set data.root to the folder."
    )
