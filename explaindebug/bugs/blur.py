"""The background of one class is out of focus: a signal that nobody would call one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import Placed, SpuriousSignal, class_named
from explaindebug.core.errors import DataError
from explaindebug.core.validation import number
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes

Floats = npt.NDArray[np.floating[Any]]


@BUGS.register("blur")
@dataclass(frozen=True)
class Blur(SpuriousSignal):
    """Pictures of which one class has its background blurred; the object stays sharp.

    A Gaussian of sigma = strength x side over the background's pixels alone, so that nothing of the
    object's colour runs into it. The signal is the whole background.

    Raises:
        ConfigError: for a fraction outside [0, 1], a strength outside (0, 1].
        DataError: for pictures without masks.

    Source: Adebayo et al. 2022 (a blur, which neither people nor maps found).
    """

    name: ClassVar[str] = "blur"
    label: ClassVar[str] = "Spurious blur"
    source: ClassVar[str] = "Adebayo et al. 2022, section 3"
    needs: ClassVar[tuple[str, ...]] = ("masks",)
    visible: ClassVar[bool] = False
    plainer: ClassVar[str] = "strength"

    aligned: str | None = None  # the class that carries it, the first one where not given
    strength: float = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        number(
            f"{self.name}.strength",
            self.strength,
            above=0,
            most=1,
            hint="It is a share of the side.",
        )

    def classes(self, data: ImageSet) -> Sequence[int]:
        return [class_named(self.aligned, data.classes, "aligned")]

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises DataError for pictures without masks."""
        if data.masks is None:
            raise DataError("these pictures have no masks, so their background can't be blurred.")

    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        assert data.masks is not None
        behind = ~data.masks
        soft = blurred(data.pixels, behind, self.strength)
        pixels = np.where(behind[..., None], soft, data.pixels)
        if data.scenes is None:
            return Placed(pixels, behind, soft)
        whole = blurred(data.scenes, np.ones_like(behind), self.strength)
        return Placed(pixels, behind, whole)


def blurred(pictures: Pixels, where: Bools, strength: float) -> Pixels:
    """Pictures (n, h, w, c) under a Gaussian that sees the pixels `where` (n, h, w) alone.

    Where it sees none, inside a large object, the mean colour of those pixels.
    """
    sigma = strength * pictures.shape[1]

    def gaussian(x: Floats) -> Floats:
        smooth: Floats = gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest")
        return smooth

    weight = where[..., None].astype(np.float32)
    seen = weight.sum((1, 2), keepdims=True)
    mean = (weight * pictures).sum((1, 2), keepdims=True) / np.maximum(seen, 1)
    around = gaussian(weight)
    found = np.where(around > 1e-4, gaussian(weight * pictures) / np.maximum(around, 1e-4), mean)
    made: Pixels = np.rint(found).clip(0, 255).astype(np.uint8)
    return made
