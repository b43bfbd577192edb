"""Caltech-UCSD birds, 200 species: the editions of 2011 and of 2010.

Their file names don't correspond. The edition of 2010 (6,033 pictures) numbers them by Flickr ids,
`Black_footed_Albatross_0034_2134386992.jpg`, that of 2011 (11,788) by its own,
`Black_Footed_Albatross_0001_796111.jpg`.

Source: Welinder et al. 2010, CNS-TR-2010-001; Wah et al. 2011, CNS-TR-2011-001.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from explaindebug.core.errors import ConfigError
from explaindebug.data.download import Archive
from explaindebug.data.folder_layout import find
from explaindebug.data.masks import Boxes, Mask, MaskFile, MatMask
from explaindebug.data.official.source import Found, Source, all_there, table
from explaindebug.data.photos import Photo

Masks = Literal["outlines", "boxes", "none"]
PAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
RECORDS = "https://data.caltech.edu/records"

CUB_2011 = Source(
    "CUB-200-2011",
    PAGE,
    ("CUB_200_2011", "."),
    ("images", "images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt"),
    (
        Archive(
            "CUB_200_2011.tgz",
            (f"{RECORDS}/65de6-vp158/files/CUB_200_2011.tgz",),
            "md5:97eceeb196236b17998738112f37df78",
            1_150_585_339,
            gives=("CUB_200_2011",),
        ),
    ),
)
SEGMENTATIONS = Source(
    "the segmentations of CUB-200-2011",
    PAGE,
    ("CUB_200_2011", "."),
    ("segmentations",),
    (
        Archive(
            "segmentations.tgz",
            (f"{RECORDS}/w9d68-gec53/files/segmentations.tgz",),
            "md5:4d47ba1228eae64f2fa547c47bc65255",
            39_272_883,
            into="CUB_200_2011",
            gives=("segmentations",),
        ),
    ),
)
CUB_2010 = Source(
    "CUB-200 of 2010",
    "http://www.vision.caltech.edu/visipedia/CUB-200.html",
    ("CUB_200", "CUB-200", "CUB_200_2010", "."),
    ("images", "annotations-mat"),
    (  # its old address is gone, and no other is known to be reliable
        Archive(
            "images.tgz",
            digest="sha256:2a6d2246bbb9778ca03aa94e2e683ccb4f8821a36b7f235c0822e659d60a803e",
            size=679_421_896,
            into="CUB_200",
            gives=("images",),
        ),
        Archive(
            "annotations.tgz",
            digest="sha256:c17b7841c21a66aa44ba8fe92369cc95dfc998946081828b1d7b8a4b716805c1",
            size=11_531_634,
            into="CUB_200",
            gives=("annotations-mat",),
        ),
    ),
)


def cub_2011(root: Path, masks: Masks = "outlines") -> Found:
    """The pictures listed in images.txt, by species; its test pictures are held out.

    The archive has a few more pictures, which are not listed and have no masks.

    Raises:
        DataError: if the data set is not there, or files are missing.
    """
    home = CUB_2011.home(root)
    mask = _masks_2011(home, root, masks)
    label, train = (
        dict(table(home / f"{name}.txt", 2)) for name in ("image_class_labels", "train_test_split")
    )
    photos = [
        Photo(home / "images" / name, mask(i, name), int(label[i]) - 1, train[i] == "0")
        for i, name in table(home / "images.txt", 2)
    ]
    names = tuple(_species(name) for _, name in table(home / "classes.txt", 2))
    return Found(names, all_there(photos, home / "images.txt", CUB_2011.title))


def cub_2010(root: Path, masks: Masks = "outlines") -> Found:
    """All pictures of the edition of 2010, by species; none is held out.

    Raises:
        ConfigError: for boxes, which are not read from it.
        DataError: if the data set is not there, or files are missing.
    """
    if masks == "boxes":
        raise ConfigError("CUB-200 of 2010 is read without boxes: use masks=outlines or none.")
    home = CUB_2010.home(root)
    files = find(home, "images/*/*.jpg", "pictures of CUB-200")
    names = sorted({path.parent.name for path in files})
    photos = [
        Photo(path, _mask_2010(home, path) if masks == "outlines" else None, names.index(name))
        for path, name in ((path, path.parent.name) for path in files)
    ]
    return Found(tuple(map(_species, names)), all_there(photos, home / "images", CUB_2010.title))


def _masks_2011(home: Path, root: Path, masks: Masks) -> Callable[[str, str], Mask | None]:
    """A function from a picture's number and name to its mask."""
    if masks == "none":
        return lambda number, name: None
    if masks == "outlines":
        folder = SEGMENTATIONS.home(root) / "segmentations"
        return lambda number, name: MaskFile((folder / name).with_suffix(".png"), "votes")
    path = home / "bounding_boxes.txt"
    boxes = {number: [float(word) for word in rest] for number, *rest in table(path, 5)}
    corners = {i: (x, y, x + w, y + h) for i, (x, y, w, h) in boxes.items()}
    return lambda number, name: Boxes(path, (corners[number],))


def _mask_2010(home: Path, image: Path) -> Mask:
    return MatMask(home / "annotations-mat" / image.parent.name / f"{image.stem}.mat")


def _species(folder: str) -> str:
    """`Black footed Albatross` for `001.Black_footed_Albatross`."""
    return folder.partition(".")[2].replace("_", " ") or folder
