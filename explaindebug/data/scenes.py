"""Scenes to put objects in front of: a source of pictures for each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.copies import once
from explaindebug.data.imageset import Labels, Pixels
from explaindebug.data.official.places import places
from explaindebug.data.photo_scenes import PhotoScenes
from explaindebug.data.splits import row_rng
from explaindebug.data.synthetic.scenes import SCENES
from explaindebug.data.synthetic.splits import draw_scenes


class SceneSource(Protocol):
    """Scenes (n, size, size, 3); a row's scene depends on (seed, split, row) and nothing else."""

    def __call__(self, rows: Labels, *, split: str, size: int, seed: int) -> Pixels: ...


Scenes = Mapping[str, SceneSource]  # by class name


@dataclass(frozen=True)
class DrawnScenes:
    """Scenes of one drawn kind, another one for every row.

    Raises:
        ConfigError: for a kind that can't be drawn.
    """

    kind: str

    def __post_init__(self) -> None:
        SCENES[self.kind]  # raises for an unknown one

    def __call__(self, rows: Labels, *, split: str, size: int, seed: int) -> Pixels:
        made = np.empty((len(rows), size, size, 3), np.uint8)
        for i, row in enumerate(rows):
            own = int(row_rng(seed, split, row).integers(2**31))
            made[i] = draw_scenes(self.kind, 1, size=size, seed=own)[0]
        return made


def check_specs(scenes: Any) -> None:
    """Refuse what can't say which scenes the classes have, before any file is looked for.

    Raises:
        ConfigError: for what is no mapping, or holds what `scene_source` can't take.
    """
    if not isinstance(scenes, Mapping):
        raise ConfigError(f"scenes: a source of pictures for each class is needed, got {scenes!r}.")
    for name, spec in scenes.items():
        if isinstance(spec, str) and spec.startswith("drawn:"):
            DrawnScenes(spec.removeprefix("drawn:"))
        named = isinstance(spec, Mapping) and bool({"images", "places"} & set(spec))
        if not named and not (isinstance(spec, str) and spec.strip()):
            raise _no_source(name, spec)


def scene_source(spec: Any, root: Path, name: str) -> SceneSource:
    """What `spec` asks for.

    `drawn:KIND`; `places:CATEGORY`, photographs of Places365 below the root, or {places, root}
    where they are elsewhere; a pattern of photographs, or {images, region}.

    Raises:
        ConfigError: for a kind that can't be drawn, or an unknown option.
        DataError: where nothing matches the pattern.
    """
    if isinstance(spec, str) and spec.startswith("drawn:"):
        return DrawnScenes(spec.removeprefix("drawn:"))
    if isinstance(spec, str) and spec.startswith("places:"):
        spec = {"places": spec.removeprefix("places:")}
    options = dict(spec) if isinstance(spec, Mapping) else {"images": spec}
    if isinstance(options.get("places"), str) and not set(options) - {"places", "root"}:
        elsewhere = Path(options.get("root", root)).expanduser()
        found = places(elsewhere, options["places"])
        return PhotoScenes(tuple(once(found, f"scenes of class {name!r}")))
    pattern = options.pop("images", None)
    if not isinstance(pattern, str) or set(options) - {"region"}:
        raise _no_source(name, spec)
    return PhotoScenes.found(root, pattern, name, **options)


def _no_source(name: str, spec: Any) -> ConfigError:
    return ConfigError(
        f"scenes of class {name!r}: a pattern of pictures, `drawn:KIND`, `places:CATEGORY`, or "
        f"images and region are needed, got {spec!r}."
    )


def check(scenes: Scenes, classes: Sequence[str]) -> None:
    """Raises DataError where a class has no scene."""
    without = [name for name in classes if name not in scenes]
    if without:
        raise DataError(
            f"class {', '.join(map(repr, without))} has no scene; there are scenes for "
            f"{', '.join(map(repr, scenes)) or 'no class'}. A spurious background needs one for "
            "every class: set the data's `scenes`, for photographs to a pattern of files or to "
            "drawn:sky and the like."
        )
