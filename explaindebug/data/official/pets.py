"""Oxford-IIIT Pet: 37 breeds of cats and dogs, with trimaps by hand.

Source: Parkhi, Vedaldi, Zisserman, Jawahar: Cats and Dogs, CVPR 2012.
"""

from pathlib import Path
from typing import Literal

from explaindebug.data.download import Archive
from explaindebug.data.folder_layout import find
from explaindebug.data.masks import Mask, MaskFile
from explaindebug.data.official.source import Found, Source, all_there, table
from explaindebug.data.photos import Photo

By = Literal["species", "breed"]
SPECIES = ("cat", "dog")  # 1 and 2 in the lists


ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets"


def _archive(name: str, md5: str) -> Archive:
    """Addresses and digests are those that torchvision's `OxfordIIITPet` fetches, and so is `into`.

    Its download is not used: cut off, it starts again, and what a killed process has unpacked
    counts as whole.
    """
    url = f"{ADDRESS}/data/{name}.tar.gz"
    return Archive(f"{name}.tar.gz", (url,), f"md5:{md5}", into="oxford-iiit-pet", gives=(name,))


PETS = Source(
    "Oxford-IIIT Pet",
    f"{ADDRESS}/",
    ("oxford-iiit-pet", "."),
    ("images", "annotations/trainval.txt", "annotations/test.txt", "annotations/trimaps"),
    (
        _archive("images", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        _archive("annotations", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    ),
)


def pets(root: Path, by: By = "species", *, masks: bool = True, border: bool = True) -> Found:
    """The pictures of trainval.txt and test.txt; the latter are held out.

    Args:
        root: the folder that has it, or its folder `oxford-iiit-pet`.
        by: what the classes are: cat and dog, or the 37 breeds.
        masks: with those of the trimaps.
        border: the border between object and background counts as object.

    Raises:
        DataError: where it is not there, or files of it are absent.
    """
    home = PETS.home(root)
    lists = home / "annotations"
    rows = [
        (row, name == "test")
        for name in ("trainval", "test")
        for row in table(lists / f"{name}.txt", 4)
    ]
    photos = [
        Photo(
            home / "images" / f"{name}.jpg",
            _trimap(home, name, border) if masks else None,
            int(species if by == "species" else breed) - 1,
            held_out,
        )
        for (name, breed, species, _), held_out in rows
    ]
    breeds = {int(breed): _breed(name) for (name, breed, _, _), _ in rows}
    classes = SPECIES if by == "species" else tuple(name for _, name in sorted(breeds.items()))
    return Found(classes, all_there(photos, lists, PETS.title))


def dogs(root: Path, *, masks: bool = True, border: bool = True) -> Found:
    """All dogs among the pictures, one class; also those that no list names; none is held out.

    Dogs' files have names in lower case, cats' begin with a capital letter.

    Raises:
        DataError: where it is not there, or files of it are absent.
    """
    home = PETS.home(root)
    files = find(home, "images/*.jpg", "pictures of pets")
    photos = [
        Photo(path, _trimap(home, path.stem, border) if masks else None, 0)
        for path in files
        if path.name[0].islower()
    ]
    return Found(("dog",), all_there(photos, home / "images", PETS.title))


def _trimap(home: Path, name: str, border: bool) -> Mask:
    return MaskFile(home / "annotations" / "trimaps" / f"{name}.png", "trimap", border)


def _breed(name: str) -> str:
    """`great_pyrenees_122` without its number."""
    return name.rpartition("_")[0].replace("_", " ")
