"""A folder like Waterbirds, of drawn birds and dogs in front of sky and bamboo."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from explaindebug.bugs.spurious_background import paste
from explaindebug.data.imageset import ImageSet
from explaindebug.data.scenes import DrawnScenes
from explaindebug.data.synthetic.splits import animals

PLACES = ("sky", "bamboo")


def grown(root: Path, counts: tuple[int, int, int], *, rare: float, size: int = 24) -> Path:
    """A table and pictures; in training and validation a share `rare` of each class is not where
    most are (birds before sky, dogs before bamboo), in the test half of them.
    """
    rows = []
    made = animals(size=size, train=counts[0], val=counts[1], test=counts[2])
    for code, (split, images) in enumerate(zip(("train", "val", "test"), made, strict=True)):
        share = 0.5 if split == "test" else rare
        for label in (0, 1):
            here = np.flatnonzero(images.labels == label)
            few = round(share * len(here))
            for i, row in enumerate(here):
                place = label if i >= few else 1 - label
                rows.append(_written(root, images, int(row), split, code, place))
    with open(root / "metadata.csv", "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return root


def _written(
    root: Path, images: ImageSet, row: int, split: str, code: int, place: int
) -> dict[str, object]:
    """One picture and its mask as PNG, and its line of the table."""
    name = f"{split}/{row:04d}.png"
    _, size, _ = images.size
    scene = DrawnScenes(PLACES[place])(np.array([row]), split=split, size=size, seed=0)
    assert images.masks is not None
    mask = images.masks[[row]]
    picture = paste(images.pixels[[row]], mask, scene, 0.01)[0]
    for path, array in ((root / name, picture), (root / "masks" / name, mask[0])):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)
    label = int(images.labels[row])
    line = {"img_id": row, "img_filename": name, "y": label, "split": code, "place": place}
    return {**line, "mask": f"masks/{name}"}
