"""What data modules of public data sets share: how they come to the root, and their splits."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.validation import at_most, folder, whole
from explaindebug.data.imageset import Splits
from explaindebug.data.official import Found, Source, check_there
from explaindebug.data.official.places import PLACES
from explaindebug.data.photos import Photo, Progress, decoded, distinct, shuffled
from explaindebug.data.scenes import Scenes, check_specs, scene_source
from explaindebug.data.splits import Amount, check_amounts
from explaindebug.datamodules.base import DebugDataModule

Split = Literal["official", "random"]


class Official(DebugDataModule):
    """Photographs of a public data set in its official layout.

    Args:
        root: the folder that has the data set, or is to have it.
        download: fetch what is missing to the root, where that can be; a cut download is continued.
        size: height and width in pixels.
        train: how many pictures, a count or a share; None for the rest. So `val` and `test`.
        val: pictures to choose by.
        test: pictures to measure on.
        split: `official` takes test pictures from those of the data set's own test split, and
            training and validation pictures from the others; `random` draws all from all.
        limit: the most pictures that any class may have.
        balance: every class gets as many pictures as the smallest has.
        crop: None squeezes a picture to the size; else the side of a square in its centre, as a
            share of its shorter side, that is shown of it.
        scenes: by class name, what a spurious background stands in front of: `drawn:sky`,
            `places:sky` (Places365, in the root too), a pattern of photographs below the root, and
            what else `explaindebug.data.scenes.scene_source` takes.
        options: those of `DebugDataModule`.

    `progress`, where set, is called with (pictures done, pictures in all) while files are read, and
    `fetching` with (bytes here, bytes in all) while one is fetched.
    """

    progress: Progress | None = None
    fetching: Progress | None = None

    def __init__(
        self,
        *,
        root: str | Path,
        download: bool = False,
        size: int = 112,
        train: Amount = None,
        val: Amount = 0.1,
        test: Amount = None,
        split: Split = "official",
        limit: int | None = None,
        balance: bool = False,
        crop: float | None = None,
        scenes: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if split not in get_args(Split):
            raise ConfigError(f"unknown split {split!r}. Known: {', '.join(get_args(Split))}.")
        if crop is not None and not 0 < crop <= 1:
            raise ConfigError(f"crop={crop}: a share of the shorter side above 0, 1 at most.")
        self.root = folder("root", root)
        self.download = download
        whole("size", size, least=1, most=4096, hint="It is in pixels a side.")
        self.size = size
        self.amounts: dict[str, Amount] = {"train": train, "val": val, "test": test}
        apart = ("train", "val") if split == "official" else tuple(self.amounts)
        check_amounts({name: self.amounts[name] for name in apart})
        check_amounts({"test": test})
        self.split = split
        at_most("limit", limit)
        self.limit = limit
        self.balance = balance
        self.crop = crop
        check_specs({} if scenes is None else scenes)
        self.scene_layout = dict(scenes or {})

    @property
    @abstractmethod
    def sources(self) -> Sequence[Source]:
        """What must be below the root."""

    @abstractmethod
    def find(self) -> Found:
        """All pictures, nothing read yet; raises DataError where the data set is not there."""

    def prepare_data(self) -> None:
        """Unpack, and where asked for fetch, what is missing; Lightning calls this in one process.

        Raises:
            ConfigError: where the disk is too small.
            DataError: where something can't be fetched, or is damaged.
        """
        scenes = [PLACES] if self._places_below_root() else []
        for source in (*self.sources, *scenes):
            source.prepare(self.root, download=self.download, progress=self.fetching)

    def load(self) -> Splits:
        """Every picture and mask of the splits, decoded."""
        self.prepare_data()
        check_there(self.sources, self.root)
        found = self.find()
        parts = self.parts(found)
        # Their masks, boxes and published accuracies are of pictures as they are stored.
        return decoded(parts, found.classes, self.size, self.crop, self.progress, upright=False)

    def parts(self, found: Found) -> list[list[Photo]]:
        """The photographs of each split; copies of others are left out."""
        how: dict[str, Any] = {"limit": self.limit, "balance": self.balance, "seed": self.seed}
        photos = distinct(found.photos, found.classes, published=True)
        if self.split == "random":
            return shuffled(photos, found.classes, self.amounts, **how)
        test = [photo for photo in photos if photo.held_out]
        rest = [photo for photo in photos if not photo.held_out]
        if not test:
            raise DataError(
                f"{type(self).__name__}: no picture is said to be for testing. Set "
                "data.split=random."
            )
        fit = {name: self.amounts[name] for name in ("train", "val")}
        return [
            *shuffled(rest, found.classes, fit, **how),
            *shuffled(test, found.classes, {"test": self.amounts["test"]}, **how),
        ]

    @property
    def scenes(self) -> Scenes:
        """Scenes of the classes that have any."""
        for name in self.scene_layout:
            if name not in self.classes:
                raise ConfigError(
                    f"scenes are given for {name!r}, which is no class. Classes: "
                    f"{', '.join(self.classes[:20])}."
                )
        found = self.scene_layout.items()
        return {name: scene_source(spec, self.root, name) for name, spec in found}

    def _places_below_root(self) -> bool:
        specs = self.scene_layout.values()
        named = any(isinstance(spec, str) and spec.startswith("places:") for spec in specs)
        return named or any(isinstance(s, Mapping) and s.keys() == {"places"} for s in specs)
