"""Drawn pictures: nothing to download."""

from collections.abc import Mapping
from typing import Any

from explaindebug.data.imageset import Splits
from explaindebug.data.scenes import DrawnScenes, Scenes
from explaindebug.data.synthetic.splits import animals, check_drawn, figures
from explaindebug.datamodules.base import DebugDataModule


class Embedded(DebugDataModule):
    """Drawn birds and dogs with exact masks, in front of drawn scenes.

    Args:
        size: height and width in pixels.
        train: how many pictures to train on. So `val` and `test`.
        val: pictures to choose by.
        test: pictures to measure on.
        scenes: by class name, the kind of drawn scene of a spurious background.
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
        """Drawn scenes."""
        return self._scenes


class Figures(Embedded):
    """Drawn glyphs and garments, ten classes: another domain than the animals.

    Args:
        scenes: by class name, the kind of drawn scene of a spurious background; none by default.
        options: those of `Embedded`.
    """

    def __init__(self, *, scenes: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(scenes=scenes or {}, **options)

    def load(self) -> Splits:
        """The figures."""
        return figures(size=self.size, seed=self.seed, **self.counts)
