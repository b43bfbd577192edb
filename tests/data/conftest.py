"""Folders of small pictures, as a user may have them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_class(folder: Path, count: int, colour: tuple[int, int, int], side: int = 40) -> None:
    """Pictures of a coloured box on grey noise, and their masks, in `images/x` and `masks/x`."""
    rng = np.random.default_rng(sum(colour))
    for kind in ("images", "masks"):
        (folder / kind / "x").mkdir(parents=True)
    for i in range(count):
        pixels = np.repeat(rng.integers(90, 110, (side, side, 1), dtype=np.uint8), 3, 2)
        mask = np.zeros((side, side), bool)
        top, left = rng.integers(2, side // 2, 2)
        mask[top : top + side // 3, left : left + side // 3] = True
        pixels[mask] = colour
        Image.fromarray(pixels).save(folder / "images" / "x" / f"{i:03d}.png")
        Image.fromarray(mask).save(folder / "masks" / "x" / f"{i:03d}.png")


@pytest.fixture
def photo_root(tmp_path: Path) -> Path:
    """Twelve red birds and eight blue dogs, laid out by convention."""
    write_class(tmp_path / "bird", 12, (250, 0, 0))
    write_class(tmp_path / "dog", 8, (0, 0, 250))
    return tmp_path


@pytest.fixture
def layout() -> Callable[..., dict[str, dict[str, str]]]:
    """The `classes` of `photo_root`, with changes for the bird."""

    def make(**bird: str) -> dict[str, dict[str, str]]:
        files = {
            name: {"images": f"{name}/images/**/*", "masks": f"{name}/masks/**/*.png"}
            for name in ("bird", "dog")
        }
        files["bird"].update(bird)
        return files

    return make
