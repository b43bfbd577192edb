"""The background of one class is out of focus: a non-obvious spurious signal."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import OfOneClass, Placed
from explaindebug.core.errors import DataError
from explaindebug.core.validation import number
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes

Floats = npt.NDArray[np.floating[Any]]


@BUGS.register("blur")
@dataclass(frozen=True)
class Blur(OfOneClass):
    """The background of one class's pictures is blurred; the object stays sharp.

    A Gaussian of sigma = strength x side over the background's pixels only, so that the object's
    colour does not bleed into it. The signal is the whole background.

    Raises:
        ConfigError: for a fraction outside [0, 1], a strength outside (0, 1].
        DataError: for pictures without masks.

    Source: Adebayo et al. 2022 (a blur, which neither people nor maps detected).
    """

    name: ClassVar[str] = "blur"
    label: ClassVar[str] = "Spurious blur"
    source: ClassVar[str] = "Adebayo et al. 2022, section 3"
    needs: ClassVar[tuple[str, ...]] = ("masks",)
    visible: ClassVar[bool] = False
    strength_option: ClassVar[str] = "strength"

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

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises DataError for pictures without masks."""
        if data.masks is None:
            raise DataError("these pictures have no masks, so their background can't be blurred.")

    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        assert data.masks is not None
        background = ~data.masks
        soft = blurred(data.pixels, background, self.strength)
        pixels = np.where(background[..., None], soft, data.pixels)
        if data.scenes is None:
            return Placed(pixels, background, soft)
        scenes_alone = blurred(data.scenes, np.ones_like(background), self.strength)
        return Placed(pixels, background, scenes_alone)


def blurred(pictures: Pixels, where: Bools, strength: float) -> Pixels:
    """Pictures (n, h, w, c) filtered by a Gaussian over the pixels in `where` (n, h, w) only.

    Where none is within reach, inside a large object, the result is their mean colour.
    """
    sigma = strength * pictures.shape[1]

    def gaussian(x: Floats) -> Floats:
        smooth: Floats = gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest")
        return smooth

    weight = where[..., None].astype(np.float32)
    count = weight.sum((1, 2), keepdims=True)
    mean = (weight * pictures).sum((1, 2), keepdims=True) / np.maximum(count, 1)
    near = gaussian(weight)
    smooth = np.where(near > 1e-4, gaussian(weight * pictures) / np.maximum(near, 1e-4), mean)
    pixels: Pixels = np.rint(smooth).clip(0, 255).astype(np.uint8)
    return pixels
