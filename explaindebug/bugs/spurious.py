"""Every object of a class stands in front of the same kind of scene."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]

from explaindebug.bugs import BUGS
from explaindebug.bugs.databug import DataBug, share, uniform
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes, check
from explaindebug.errors import ConfigError, DataError

Floats = npt.NDArray[np.floating[Any]]


@BUGS.register("spurious")
@dataclass(frozen=True)
class SpuriousBackground(DataBug):
    """Pictures whose objects stand, cut out by their masks, in front of their class's scene.

    The same scene without the object is kept in `scenes`, so that a model can be asked what the
    scene alone says. Test pictures all get a scene: on them the model's reliance is measured. Of
    the others, each class has round(fraction n) in front of its scene; the rest stay as they are,
    and `scenes` is then known only where the clean data knows it.

    The object's opacity is its mask under a Gaussian of sigma = feather x side. What shows through
    outside the mask is the object's own colour, spread by the same Gaussian, not what surrounded it
    in the photograph, which would leave a halo.

    Raises:
        ConfigError: for a fraction outside [0, 1] or a negative feather.
        DataError: for pictures without masks, or a class without a scene.

    Source: Adebayo et al. 2020, section 3.1; a blur of 5 pixels at a side of 500 in the code of
    its user study.
    """

    name: ClassVar[str] = "spurious"
    label: ClassVar[str] = "Spurious background"
    source: ClassVar[str] = "Adebayo et al. 2020, section 3.1"
    needs: ClassVar[tuple[str, ...]] = ("masks", "scenes")

    fraction: float = 1.0
    feather: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        share("fraction", self.fraction)
        if self.feather < 0:
            raise ConfigError(f"feather={self.feather}: 0 for a hard edge, or a share of the side.")

    def __call__(
        self, data: ImageSet, *, scenes: Scenes | None = None, split: str = "train"
    ) -> ImageSet:
        if data.masks is None:
            raise DataError("these pictures have no masks, so their objects can't be cut out.")
        check(scenes or {}, data.classes)
        rows = self.struck(data, split)
        backgrounds = self._backgrounds(data, rows, scenes or {}, split)
        pixels = data.pixels.copy()
        for some in np.array_split(np.arange(len(rows)), len(rows) // 64 + 1):  # bounds the memory
            where = rows[some]
            pixels[where] = paste(
                data.pixels[where], data.masks[where], backgrounds[some], self.feather
            )
        return replace(data, pixels=pixels, scenes=_twins(data, rows, backgrounds))

    def struck(self, data: ImageSet, split: str = "train") -> Labels:
        if split == "test":
            return np.arange(len(data))
        chance, rows = uniform(data, self.seed, 2), []
        for label in range(len(data.classes)):
            here = np.flatnonzero(data.truth == label)
            first = np.argsort(chance[here], kind="stable")[: round(self.fraction * len(here))]
            rows.append(here[first])
        return np.sort(np.concatenate(rows))

    def _backgrounds(self, data: ImageSet, rows: Labels, scenes: Scenes, split: str) -> Pixels:
        _, size, _ = data.size
        made = np.empty_like(data.pixels[rows])
        for label, name in enumerate(data.classes):
            here = data.truth[rows] == label
            places = data.indices[rows[here]]
            made[here] = scenes[name](places, split=split, size=size, seed=self.seed)
        return made


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


def _twins(data: ImageSet, rows: Labels, backgrounds: Pixels) -> Pixels | None:
    if len(rows) == len(data):
        return backgrounds
    if data.scenes is None:
        return None
    scenes = data.scenes.copy()
    scenes[rows] = backgrounds
    return scenes
