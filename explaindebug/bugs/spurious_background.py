"""All objects of a class appear in front of the same kind of scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import Placed, SpuriousSignal
from explaindebug.core.errors import DataError
from explaindebug.core.validation import number
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes, check

Floats = npt.NDArray[np.floating[Any]]


@BUGS.register("background")
@dataclass(frozen=True)
class SpuriousBackground(SpuriousSignal):
    """Objects, cut out by their masks, are pasted in front of a scene of their class.

    The object's opacity is its mask blurred by a Gaussian of sigma = feather x side. The soft edge
    outside the mask shows the object's own colour, spread by the same Gaussian, rather than its
    surroundings in the photograph, which would leave a halo. The signal is everything outside the
    object's mask.

    Raises:
        ConfigError: for a fraction or a feather outside [0, 1].
        DataError: for pictures without masks, or a class without a scene.

    Source: Adebayo et al. 2020, section 3.1; the code of its user study blurs by 5 pixels at a side
    of 500.
    """

    name: ClassVar[str] = "background"
    label: ClassVar[str] = "Spurious background"
    source: ClassVar[str] = "Adebayo et al. 2020, section 3.1"
    needs: ClassVar[tuple[str, ...]] = ("masks", "scenes")

    feather: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        number("feather", self.feather, least=0, most=1, hint="It is a share of the side.")

    def classes(self, data: ImageSet) -> Sequence[int]:
        return range(len(data.classes))

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises DataError for pictures without masks, or a class without a scene."""
        if data.masks is None:
            raise DataError("these pictures have no masks, so their objects can't be cut out.")
        check(scenes, data.classes)

    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        assert data.masks is not None
        _, size, _ = data.size
        backgrounds = np.empty_like(data.pixels)
        for label in np.unique(labels):
            here = labels == label
            source = scenes[data.classes[label]]
            backgrounds[here] = source(data.indices[here], split=split, size=size, seed=self.seed)
        pixels = paste(data.pixels, data.masks, backgrounds, self.feather)
        return Placed(pixels, ~data.masks, backgrounds)


def paste(objects: Pixels, masks: Bools, scenes: Pixels, feather: float) -> Pixels:
    """Objects in front of scenes, (n, h, w, c), with edges blurred by sigma = feather x side.

    out = a x colour + (1 - a) x scene, with opacity a = blur(mask). Where a > 0.9 the colour is the
    object's; near and outside the edge it is a weighted mean of the object's colours nearby, in
    which pixels with a > 0.9 count most.
    """

    def blur(x: Floats) -> Floats:
        sigma = feather * masks.shape[1]
        blurred: Floats = gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest")
        return blurred

    inside = masks[..., None].astype(np.float32)
    alpha = blur(inside)
    core = inside * (alpha > 0.9)
    weight = core + np.float32(0.05) * inside
    nearby = blur(weight * objects) / np.maximum(blur(weight), np.float32(1e-6))
    front = np.where(core > 0, objects, nearby)
    pixels: Pixels = np.rint(alpha * front + (1 - alpha) * scenes).clip(0, 255).astype(np.uint8)
    return pixels
