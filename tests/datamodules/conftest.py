"""Folders of small photographs, laid out by convention."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photo_root(tmp_path: Path) -> Path:
    """Twelve birds and eight dogs with masks, and a scene for each."""
    rng = np.random.default_rng(0)
    for name, count in (("bird", 12), ("dog", 8)):
        mask = np.zeros((30, 30), bool)
        mask[10:20, 5:25] = True
        for i in range(count):
            pixels = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
            write(tmp_path / name / "images" / f"{i:02d}.png", pixels)
            write(tmp_path / name / "masks" / f"{i:02d}.png", mask)
        scene = rng.integers(0, 256, (100, 500, 3), dtype=np.uint8)
        write(tmp_path / name / "scenes" / "one.png", scene)
    return tmp_path
