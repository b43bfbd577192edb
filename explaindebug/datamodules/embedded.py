"""Synthetic pictures: nothing to download."""

from collections.abc import Mapping
from typing import Any

from explaindebug.data.imageset import Splits
from explaindebug.data.scenes import DrawnScenes, Scenes
from explaindebug.data.synthetic.splits import animals, check_drawn, figures
from explaindebug.datamodules.base import DebugDataModule


class Embedded(DebugDataModule):
    """Synthetic birds and dogs with exact masks, in front of synthetic scenes.

    Args:
        size: height and width in pixels.
        train: number of training pictures.
        val: number of validation pictures.
        test: number of test pictures.
        scenes: kind of synthetic scene for a spurious background, by class name.
        options: those of `DebugDataModule`.
    """

    def __init__(
        self,
        *,
        size: int = 32,
        train: int = 2000,
        val: int = 200,
        test: int = 400,
        scenes: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.size = size
        self.counts = {"train": train, "val": val, "test": test}
        kinds = {"bird": "sky", "dog": "bamboo"} if scenes is None else scenes
        check_drawn(self.counts, size, self.seed)
        self._scenes = {name: DrawnScenes(kind) for name, kind in kinds.items()}

    def load(self) -> Splits:
        """The animals."""
        return animals(size=self.size, seed=self.seed, **self.counts)

    @property
    def scenes(self) -> Scenes:
        """Synthetic scenes."""
        return self._scenes


class Figures(Embedded):
    """Synthetic glyphs and garments, ten classes: a different domain from the animals.

    Args:
        scenes: kind of synthetic scene for a spurious background, by class name; none by default.
        options: those of `Embedded`.
    """

    def __init__(self, *, scenes: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(scenes=scenes or {}, **options)

    def load(self) -> Splits:
        """The figures."""
        return figures(size=self.size, seed=self.seed, **self.counts)
