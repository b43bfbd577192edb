"""Segmented photographs from folders."""

import glob
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.core.validation import at_most, folder, whole
from explaindebug.data.folder_layout import PICTURES, folder_there, some
from explaindebug.data.imageset import Splits
from explaindebug.data.photos import Progress, photos
from explaindebug.data.scenes import Scenes, check_specs, scene_source
from explaindebug.data.splits import Amount, check_amounts
from explaindebug.datamodules.base import DebugDataModule

OF_A_CLASS = ("images", "masks", "scenes")


class Photos(DebugDataModule):
    """Photographs of two or more classes, with optional masks and scenes.

    By convention, each class has folders below the root: `bird/images`, `bird/masks` (a mask has
    the name of its picture, except for the extension) and `bird/scenes` (photographs for spurious
    backgrounds). Where no folder has `images`, each folder that holds pictures itself is a class,
    as in torchvision's `ImageFolder`. Patterns describe any other layout.

    Args:
        root: the folder with the data.
        classes: names, for the layout above; or, by name, `images`, `masks`, `convention` (binary,
            trimap or votes) and `border`, with patterns below the root as in
            `explaindebug.data.folder_layout.ClassFiles`. None takes every folder of these layouts.
        scenes: by class name, a pattern of photographs below the root, or `images` with the
            `region` of them to use, or `drawn:sky` and the like. None for the layout above.
        size: height and width in pixels; pictures are squeezed to it.
        train: training pictures, a count or a fraction of all; None for the rest.
        val: validation pictures, likewise.
        test: test pictures, likewise.
        limit: maximal number of pictures per class.
        balance: whether every class has as many pictures as the smallest.
        options: those of `DebugDataModule`.

    `progress`, if set, is called with (pictures done, pictures in total) while files are read.
    """

    progress: Progress | None = None

    def __init__(
        self,
        *,
        root: str | Path,
        classes: Mapping[str, Any] | Sequence[str] | None = None,
        scenes: Mapping[str, Any] | None = None,
        size: int = 112,
        train: Amount = 0.7,
        val: Amount = 0.1,
        test: Amount = 0.2,
        limit: int | None = None,
        balance: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = folder("root", root)
        _check_classes(classes)
        if scenes is not None:
            check_specs(scenes)
        self.layout = classes
        self.scene_layout = scenes
        whole("size", size, least=1, most=4096, hint="It is in pixels a side.")
        self.size = size
        self.amounts = {"train": train, "val": val, "test": test}
        check_amounts(self.amounts)
        at_most("limit", limit)
        self.limit = limit
        self.balance = balance

    def load(self) -> Splits:
        """Every picture and mask, decoded."""
        return photos(
            self._files(),
            root=self.root,
            size=self.size,
            limit=self.limit,
            balance=self.balance,
            seed=self.seed,
            progress=self.progress,
            **self.amounts,
        )

    @property
    def scenes(self) -> Scenes:
        """Scenes by class, if there are any; raises DataError for a pattern without files."""
        layout = self.scene_layout
        if layout is None:
            there = [name for name in self.classes if folder_there(self.root / name / "scenes")]
            layout = {name: f"{glob.escape(name)}/scenes/**/*" for name in there}
        for name in layout:
            if name not in self.classes:
                raise ConfigError(
                    f"scenes are given for {name!r}, which is not a class. Classes: "
                    f"{', '.join(self.classes)}."
                )
        return {name: scene_source(spec, self.root, name) for name, spec in layout.items()}

    def _files(self) -> Mapping[str, Any]:
        if isinstance(self.layout, Mapping):
            return self.layout
        names = self._folders() if self.layout is None else self.layout
        return {name: self._conventional(name) for name in names}

    def _conventional(self, name: str) -> dict[str, str]:
        own = self.root / name
        if not folder_there(own / "images") and _holds_pictures(own):
            return {"images": f"{glob.escape(name)}/*"}
        files = {"images": f"{glob.escape(name)}/images/**/*"}
        if folder_there(self.root / name / "masks"):
            files["masks"] = f"{glob.escape(name)}/masks/**/*"
        return files

    def _folders(self) -> list[str]:
        here = sorted(self.root.glob("[!.]*")) if self.root.is_dir() else []
        folders = [path for path in here if folder_there(path)]
        found = [path.name for path in folders if folder_there(path / "images")]
        lack = "have no folder `images`"
        if not found and not any(path.name in OF_A_CLASS for path in folders):
            found, lack = [p.name for p in folders if _holds_pictures(p)], "hold no pictures"
        if len(found) < 2:
            there = f"has {len(found)}" if self.root.is_dir() else "does not exist"
            raise DataError(
                f"two or more folders named CLASS/images are needed, or folders of pictures "
                f"called as the classes, but {self.root.resolve()} {there}. Set `root` to the "
                "folder with them, or give `classes` as patterns."
            )
        if others := [path for path in folders if path.name not in found]:
            warnings.warn(
                f"the classes in {self.root} are {', '.join(found)}. These {lack} and are left "
                f"out: {some(others)}.",
                DataWarning,
                stacklevel=2,
            )
        return found


def _holds_pictures(folder: Path) -> bool:
    """Whether there is a picture in the folder itself."""
    if not folder.is_dir():
        return False
    return any(path.suffix.lower() in PICTURES for path in folder.glob("[!.]*"))


def _check_classes(classes: Any) -> None:
    """Raises ConfigError for fewer than two classes, or if one of them has no patterns."""
    if classes is None:
        return
    listed = isinstance(classes, Sequence) and not isinstance(classes, str)
    if not (listed or isinstance(classes, Mapping)) or len(classes) < 2:
        raise ConfigError(f"classes: give two or more names, or patterns by name, got {classes!r}.")
    if isinstance(classes, Mapping):
        for name, files in classes.items():
            if not isinstance(files, Mapping) or "images" not in files:
                raise ConfigError(
                    f"classes: {name!r} needs `images`, a pattern below the root, got {files!r}."
                )
