"""Scenes that are quick to make."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

Source = Callable[..., npt.NDArray[np.uint8]]


@pytest.fixture
def scenes() -> dict[str, Source]:
    """Noise, bluish for birds and greenish for dogs, by (seed, split, row)."""

    def source(colour: tuple[int, int, int]) -> Source:
        def make(rows: object, *, split: str, size: int, seed: int) -> npt.NDArray[np.uint8]:
            made = np.empty((len(rows), size, size, 3), np.uint8)
            for i, row in enumerate(rows):
                rng = np.random.default_rng([seed, len(split), row])
                made[i] = colour + rng.integers(0, 50, (size, size, 3))
            return made

        return make

    return {"bird": source((80, 120, 200)), "dog": source((30, 150, 40))}
