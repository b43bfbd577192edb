"""Stanford Dogs: 120 breeds from ImageNet, with boxes around the dogs but no outlines.

Source: Khosla, Jayadevaprakash, Yao, Li: Novel dataset for fine-grained image categorization, 2011.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from explaindebug.core.errors import DataError
from explaindebug.data.download import Archive
from explaindebug.data.folder_layout import find
from explaindebug.data.image_files import Frame, Size, Window, read_mat
from explaindebug.data.imageset import Bools
from explaindebug.data.masks import Boxes
from explaindebug.data.official.source import Found, Source, all_there
from explaindebug.data.photos import Photo

ADDRESS = "http://vision.stanford.edu/aditya86/ImageNetDogs"


def _archive(name: str, size: int, sha256: str, *gives: str) -> Archive:
    return Archive(
        name, (f"{ADDRESS}/{name}",), f"sha256:{sha256}", size, into="stanford_dogs", gives=gives
    )


STANFORD_DOGS = Source(
    "Stanford Dogs",
    f"{ADDRESS}/",
    ("stanford_dogs", "StanfordDogs", "."),
    ("Images", "Annotation", "test_list.mat"),
    (
        _archive(
            "images.tar",
            793_579_520,
            "a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
            "Images",
        ),
        _archive(
            "annotation.tar",
            21_852_160,
            "662ed36f707be6b195c2fda392d8e153e83af28cedc8e2134a649f198def30fd",
            "Annotation",
        ),
        _archive(
            "lists.tar",
            481_280,
            "34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
            "test_list.mat",
        ),
    ),
)


@dataclass(frozen=True)
class AnnotatedBoxes:
    """The boxes of a Pascal VOC annotation, read when the picture is."""

    path: Path
    read_as: str = "boxes"

    def __call__(self, size: int, full: Size, crop: float | None = None) -> tuple[Bools, Frame]:
        return Boxes(self.path, self._boxes())(size, full, crop)

    def _boxes(self) -> tuple[Window, ...]:
        try:
            found = ElementTree.parse(self.path).iterfind("object/bndbox")
            corners = [[float(box.findtext(k) or "") for k in CORNERS] for box in found]
        except (OSError, ValueError, ElementTree.ParseError) as error:
            raise DataError(
                f"{self.path} can't be read as boxes ({error}). Download it again."
            ) from error
        return tuple((left, top, right, bottom) for left, top, right, bottom in corners)


CORNERS = ("xmin", "ymin", "xmax", "ymax")


def stanford_dogs(root: Path, *, masks: bool = True) -> Found:
    """All pictures, by breed; those of test_list.mat are held out. Masks are the dogs' boxes.

    Raises:
        DataError: if the data set is not there, or files are missing.
    """
    home = STANFORD_DOGS.home(root)
    test = {str(name) for name in read_mat(home / "test_list.mat", "file_list")["file_list"]}
    files = find(home, "Images/*/*.jpg", "pictures of Stanford Dogs")
    folders = sorted({path.parent.name for path in files})
    photos = [
        Photo(
            path,
            AnnotatedBoxes(home / "Annotation" / path.parent.name / path.stem) if masks else None,
            folders.index(path.parent.name),
            f"{path.parent.name}/{path.name}" in test,
        )
        for path in files
    ]
    absent = len(test) - sum(photo.held_out for photo in photos)
    if absent:
        here = {f"{path.parent.name}/{path.name}" for path in files}
        some = ", ".join(sorted(test - here)[:3])
        raise DataError(
            f"Stanford Dogs: {absent} of {len(test)} pictures listed in {home / 'test_list.mat'} "
            f"are missing: {some}. It was not unpacked completely: remove {home / 'Images'} and "
            "unpack it again."
        )
    return Found(tuple(_breed(f) for f in folders), all_there(photos, home, STANFORD_DOGS.title))


def _breed(folder: str) -> str:
    """`Chihuahua` for `n02085620-Chihuahua`."""
    return folder.partition("-")[2].replace("_", " ") or folder
