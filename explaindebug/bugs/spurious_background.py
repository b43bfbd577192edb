"""Every object of a class stands in front of the same kind of scene."""

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
    """Pictures whose objects stand, cut out by their masks, in front of their class's scene.

    The object's opacity is its mask under a Gaussian of sigma = feather x side. What shows through
    outside the mask is the object's own colour, spread by the same Gaussian, not what surrounded it
    in the photograph, which would leave a halo. The signal is all but the object's mask.

    Raises:
        ConfigError: for a fraction or a feather outside [0, 1].
        DataError: for pictures without masks, or a class without a scene.

    Source: Adebayo et al. 2020, section 3.1; a blur of 5 pixels at a side of 500 in the code of
    its user study.
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
        behind = np.empty_like(data.pixels)
        for label in np.unique(labels):
            here = labels == label
            source = scenes[data.classes[label]]
            behind[here] = source(data.indices[here], split=split, size=size, seed=self.seed)
        return Placed(paste(data.pixels, data.masks, behind, self.feather), ~data.masks, behind)


def paste(objects: Pixels, masks: Bools, scenes: Pixels, feather: float) -> Pixels:
    """Objects in front of scenes, (n, h, w, c), with an edge as soft as feather x side.

    out = a x colour + (1 - a) x scene, with opacity a = blur(mask). Where a > 0.9 the colour is the
    object's; nearer the edge and outside it is the mean of the object's colours around, those of
    a > 0.9 before others.
    """

    def blur(x: Floats) -> Floats:
        sigma = feather * masks.shape[1]
        blurred: Floats = gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest")
        return blurred

    inside = masks[..., None].astype(np.float32)
    alpha = blur(inside)
    core = inside * (alpha > 0.9)
    weight = core + np.float32(0.05) * inside
    around = blur(weight * objects) / np.maximum(blur(weight), np.float32(1e-6))
    front = np.where(core > 0, objects, around)
    made: Pixels = np.rint(alpha * front + (1 - alpha) * scenes).clip(0, 255).astype(np.uint8)
    return made
