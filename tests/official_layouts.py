"""Tiny copies of public data sets in their official layouts, drawn here; no picture twice."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

SIDE = 40
BOX = (10, 30, 6, 26)  # top, bottom, left, right of the object in every picture
SPECIES = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
BREEDS = {"Abyssinian": 1, "beagle": 2, "great_pyrenees": 3}
CAPITAL = "abcdefghijklmnopqrstuvwxyz".upper()


def outline() -> np.ndarray:
    top, bottom, left, right = BOX
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


def picture(path: Path, grey: int = 128, side: tuple[int, int] = (SIDE, SIDE)) -> None:
    """A white object on grey."""
    pixels = np.full((*side, 3), grey, np.uint8)
    if side == (SIDE, SIDE):
        pixels[outline()] = 255
    write_unique(path, pixels)


def write_unique(path: Path, pixels: np.ndarray) -> None:
    """The picture with a corner that depends on its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(zlib.crc32(str(path).encode()))
    pixels[:2, :2] = noise.integers(0, 256, (2, 2, 1))
    Image.fromarray(pixels).save(path)


def levels(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def lines(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def cub_2011(root: Path, each: int = 8) -> Path:
    """Two species; the first half of each is for training."""
    home = root / "CUB_200_2011"
    names = [f"{s}/{s[4:].title()}_{i:04d}_{796000 + i}.jpg" for s in SPECIES for i in range(each)]
    numbers = range(1, len(names) + 1)
    for name in names:
        picture(home / "images" / name, grey=60)
        votes = outline() * 255
        votes[0, :] = 51  # one of five annotators
        levels((home / "segmentations" / name).with_suffix(".png"), votes)
    picture(home / "images" / SPECIES[0] / "stray_rgb.jpg")  # in no list, and without a mask
    top, bottom, left, right = BOX
    box = f"{left}.0 {top}.0 {right - left}.0 {bottom - top}.0"
    lines(home / "images.txt", [f"{i} {n}" for i, n in zip(numbers, names, strict=True)])
    lines(home / "image_class_labels.txt", [f"{i} {1 + (i - 1) // each}" for i in numbers])
    lines(
        home / "train_test_split.txt", [f"{i} {int((i - 1) % each < each // 2)}" for i in numbers]
    )
    lines(home / "classes.txt", [f"{i} {name}" for i, name in enumerate(SPECIES, 1)])
    lines(home / "bounding_boxes.txt", [f"{i} {box}" for i in numbers])
    return home


def cub_2010(root: Path, each: int = 8) -> Path:
    home = root / "CUB_200"
    for species in SPECIES:
        for i in range(each):
            name = f"{species}/{species[4:]}_{i:04d}_{2134386992 + i}"
            picture(home / "images" / f"{name}.jpg", grey=60)
            (home / "images" / species / f"._{i}.jpg").write_bytes(b"left by a Mac")
            mat = home / "annotations-mat" / f"{name}.mat"
            mat.parent.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(mat, {"seg": outline().astype(np.uint8), "bbox": {"left": 5}})
    return home


def pets(root: Path, each: int = 8) -> Path:
    """A breed of cats and two of dogs; one dog in no list."""
    home = root / "oxford-iiit-pet"
    rows: dict[str, list[str]] = {"trainval": [], "test": []}
    for breed, number in BREEDS.items():
        for i in range(1, each + 2 if breed == "beagle" else each + 1):
            name = f"{breed}_{i}"
            picture(home / "images" / f"{name}.jpg", grey=120)
            trimap = np.where(outline(), 1, 2)
            trimap[BOX[0], BOX[2] : BOX[3]] = 3
            levels(home / "annotations/trimaps" / f"{name}.png", trimap)
            if i <= each:
                species = 1 if breed[0] in CAPITAL else 2
                part = "trainval" if i <= each // 2 else "test"
                rows[part].append(f"{name} {number} {species} {i}")
    (home / "annotations/trimaps/._Abyssinian_1.png").write_bytes(b"left by a Mac")
    for part, found in rows.items():
        lines(home / "annotations" / f"{part}.txt", found)
    return home


def stanford_dogs(
    root: Path,
    each: int = 8,
    breeds: Sequence[str] = ("n02085620-Chihuahua", "n02106662-German_shepherd"),
) -> Path:
    home = root / "stanford_dogs"
    top, bottom, left, right = BOX
    box = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    test = []
    for breed in breeds:
        for i in range(each):
            name = f"{breed}/{breed[:9]}_{i}"
            picture(home / "Images" / f"{name}.jpg", grey=120)
            lines(
                home / "Annotation" / name,
                [f"<annotation><object><bndbox>{box}</bndbox></object></annotation>"],
            )
            test += [f"{name}.jpg"] if i >= each // 2 else []
    cells = np.array([[name] for name in test], dtype=object)
    scipy.io.savemat(home / "test_list.mat", {"file_list": cells})
    return home


def places(root: Path, each: int = 12, training: bool = False) -> Path:
    """Blue sky, green bamboo, and a third category."""
    home = root / "places365"
    colours = {"sky": (80, 120, 250), "bamboo_forest": (40, 160, 30), "snow": (250, 250, 250)}
    rows = []
    for k, (name, colour) in enumerate(colours.items()):
        for i in range(each):
            file = f"Places365_val_{k * each + i:08d}.jpg"
            folder = f"data_256_standard/{name[0]}/{name}" if training else "val_256"
            write_unique(home / folder / file, np.tile(np.uint8(colour), (256, 256, 1)))
            rows.append(f"{file} {k}")
    if not training:
        lines(home / "places365_val.txt", rows)
        lines(
            home / "categories_places365.txt", [f"/{n[0]}/{n} {k}" for k, n in enumerate(colours)]
        )
    return home


def split_lists(root: Path, each: tuple[int, int, int] = (8, 4, 4)) -> Path:
    """Lists over `cub_2010` and `pets`, as the authors' are over the whole of them."""
    birds = sorted(p.name for p in (root / "CUB_200/images").glob("*/[!.]*.jpg"))
    dogs = sorted(p.name for p in (root / "oxford-iiit-pet/images").glob("[a-z]*.jpg"))
    for word, names in (("birds", birds), ("dogs", dogs)):
        start = 0
        for split, n in zip(("train", "val", "test"), each, strict=True):
            lines(root / "split_lists" / f"{word}_{split}_list.txt", names[start : start + n])
            start += n
    return root / "split_lists"


def wnids(count: int = 1000) -> list[str]:
    """Numbers in the form of WordNet's, in no order."""
    made = [f"n{10_000_000 + 7 * i:08d}" for i in range(count)]
    np.random.default_rng(0).shuffle(made)
    return made


def imagenet(root: Path) -> None:
    """A folder of twenty pictures of as many classes, and the list of all 1,000."""
    order = sorted(wnids())
    for k in range(20):
        picture(root / f"{order[50 * k]}_{k}.JPEG", grey=10 * k)
    lines(root / "classes.txt", order)


def imagenet_devkit(root: Path, truth: list[str]) -> None:
    """The development kit of pictures of the given classes; its own numbers are in no order."""
    kit = root / "ILSVRC2012_devkit_t12" / "data"
    names = wnids()
    rows = [(i, wnid, 0) for i, wnid in enumerate(names, 1)] + [(1001, "n00001740", 3)]
    fields = [("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)]
    kit.mkdir(parents=True)
    scipy.io.savemat(kit / "meta.mat", {"synsets": np.array(rows, dtype=fields)[:, None]})
    lines(
        kit / "ILSVRC2012_validation_ground_truth.txt",
        [str(names.index(wnid) + 1) for wnid in truth],
    )


def fetched_by(module: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Address -> digest of all that a module of torchvision's data sets fetches from now on.

    Nothing is fetched, but the folders are made.
    """
    asked: dict[str, str] = {}

    def note(url: str, download_root: str, *, md5: str) -> None:
        Path(download_root).mkdir(exist_ok=True)
        asked[url] = f"md5:{md5}"

    monkeypatch.setattr(module, "download_and_extract_archive", note)
    return asked
