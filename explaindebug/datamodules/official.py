"""Base class of data modules of public data sets: downloads and splits."""

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
        root: folder with the data set, or to download it to.
        download: download what is missing, if possible; an interrupted download is resumed.
        size: height and width in pixels.
        train: training pictures, a count or a fraction; None for the rest.
        val: validation pictures, likewise.
        test: test pictures, likewise.
        split: `official` takes test pictures from those of the data set's own test split, and
            training and validation pictures from the others; `random` draws all from all.
        limit: maximal number of pictures per class.
        balance: whether every class has as many pictures as the smallest.
        crop: side of a central square to cut out, as a fraction of the shorter side; None squeezes
            the whole picture to the size.
        scenes: scenes of a spurious background, by class name: `drawn:sky`, `places:sky`
            (Places365, also in the root), a pattern of photographs below the root, or anything else
            that `explaindebug.data.scenes.scene_source` accepts.
        options: those of `DebugDataModule`.

    `progress`, if set, is called with (pictures done, pictures in total) while files are read, and
    `fetching` with (bytes done, bytes in total) during a download.
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
            raise ConfigError(
                f"crop={crop}: must be a fraction of the shorter side, above 0 and at most 1."
            )
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
        """All pictures, without reading them; raises DataError if the data set is missing."""

    def prepare_data(self) -> None:
        """Download (if requested) and unpack what is missing; Lightning calls it in one process.

        Raises:
            ConfigError: if there is not enough disk space.
            DataError: if something can't be downloaded, or is damaged.
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
        # Masks, boxes and published accuracies of these data sets refer to pictures as stored.
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
                f"{type(self).__name__}: no picture is in the official test split. Set "
                "data.split=random."
            )
        fit = {name: self.amounts[name] for name in ("train", "val")}
        return [
            *shuffled(rest, found.classes, fit, **how),
            *shuffled(test, found.classes, {"test": self.amounts["test"]}, **how),
        ]

    @property
    def scenes(self) -> Scenes:
        """Scenes by class, for classes that have any."""
        for name in self.scene_layout:
            if name not in self.classes:
                raise ConfigError(
                    f"scenes are given for {name!r}, which is not a class. Classes: "
                    f"{', '.join(self.classes[:20])}."
                )
        found = self.scene_layout.items()
        return {name: scene_source(spec, self.root, name) for name, spec in found}

    def _places_below_root(self) -> bool:
        specs = self.scene_layout.values()
        named = any(isinstance(spec, str) and spec.startswith("places:") for spec in specs)
        return named or any(isinstance(s, Mapping) and s.keys() == {"places"} for s in specs)
