"""Paste birds in front of two scenes, in the layout of Waterbirds: land birds mostly before one.

    python docs/waterbirds.py IMAGES MASKS LAND WATER OUT

IMAGES and MASKS have a folder per species (CUB-200-2011 and its segmentations), LAND and WATER are
folders of photographs. 95 % of the training pictures have the scene of their class, half of the
others. As many birds of each class are taken, at most 430.

Source: Sagawa et al. 2020 (Waterbirds).
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from explaindebug.bugs.spurious_background import paste
from explaindebug.data.image_files import read_picture
from explaindebug.data.masks import read_mask
from explaindebug.data.scenes import scene_source

SIZE, MOST, AGAINST = 96, 430, 0.05
# the last words of species' names
WATERBIRDS = [
    "Albatross",
    "Pelican",
    "Grebe",
    "Gadwall",
    "Gull",
    "Merganser",
    "Puffin",
    "Mallard",
    "Loon",
    "Auklet",
    "Guillemot",
    "Cormorant",
]
COLUMNS = ("img_id", "img_filename", "y", "split", "place", "mask")


def main(images: Path, masks: Path, land: Path, water: Path, out: Path) -> None:
    """Write the pictures, their masks, and `metadata.csv` last."""
    found: tuple[list[Path], list[Path]] = ([], [])
    for path in sorted(images.rglob("*.jpg")):
        found[path.parent.name.split("_")[-1] in WATERBIRDS].append(path)
    count = min(*map(len, found), MOST)
    scenes = [scene_source("*", folder, folder.name) for folder in (land, water)]
    rng, rows = np.random.default_rng(0), []
    for label, paths in enumerate(found):
        for k, path in enumerate(paths[i] for i in rng.permutation(len(paths))[:count]):
            share = k / count
            split = "train" if share < 0.7 else "val" if share < 0.78 else "test"
            against = rng.random() < AGAINST if split == "train" else k % 2 == 0
            place = 1 - label if against else label
            name = path.relative_to(images)
            picture, _ = read_picture(path, SIZE)
            mask, _ = read_mask(masks / name.with_suffix(".png"), SIZE, "binary")
            scene = scenes[place](np.array([10 * k + label]), split=split, size=SIZE, seed=0)
            files = out / name, (out / "masks" / name).with_suffix(".png")
            pasted = paste(picture[None], mask[None], scene, 0.01)[0]
            for file, pixels in zip(files, (pasted, mask), strict=True):
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
            code = ("train", "val", "test").index(split)
            image, object_ = (str(file.relative_to(out)) for file in files)
            rows.append((len(rows), image, label, code, place, object_))
    with (out / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
