"""Places365: scenes of a category from either layout."""

from pathlib import Path
from typing import Any

import numpy as np
import official_layouts as make
import pytest
import torchvision

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.official.places import PLACES, places
from explaindebug.data.scenes import scene_source


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("home", [".", "places365"])
def test_a_category_is_found_in_either_layout(tmp_path: Path, home: str, training: bool) -> None:
    make.places(tmp_path, training=training)
    found = {name: places(tmp_path / home, name) for name in ("sky", "bamboo_forest")}
    assert {name: len(paths) for name, paths in found.items()} == {"sky": 12, "bamboo_forest": 12}
    rows = np.arange(4)
    for name, channel in (("sky", 2), ("bamboo_forest", 1)):
        source = scene_source(f"places:{name}", tmp_path / home, "bird")
        scenes = source(rows, split="test", size=16, seed=0)
        assert scenes.mean((0, 1, 2)).argmax() == channel


def test_places_may_be_elsewhere(tmp_path: Path) -> None:
    make.places(tmp_path / "disk")
    spec = {"places": "sky", "root": str(tmp_path / "disk")}
    assert scene_source(spec, tmp_path, "bird")(np.arange(2), split="val", size=8, seed=0).any()


@pytest.mark.parametrize("training", [False, True])
def test_an_unknown_category_gets_the_nearest(tmp_path: Path, training: bool) -> None:
    make.places(tmp_path, training=training)
    with pytest.raises(ConfigError, match=r"no category 'bambo_forest'.*mean 'bamboo_forest'\?"):
        places(tmp_path, "bambo_forest")


def test_absent_pictures_are_counted(tmp_path: Path) -> None:
    home = make.places(tmp_path)
    for path in sorted((home / "val_256").iterdir())[:5]:
        path.unlink()
    with pytest.raises(
        DataError, match=r"5 of 12 pictures of 'sky' .* absent: .*00.jpg.* and 2 mo"
    ):
        places(tmp_path, "sky")


def test_without_places_it_is_said_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Places365 is not in .*val_256.*download=true.*places365"):
        places(tmp_path, "sky")


def test_archives_and_digests_are_those_that_torchvision_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ImagesOnly(torchvision.datasets.Places365):  # without lists it does not come so far
        def load_categories(self, download: bool = True) -> Any:
            self.download_devkit()
            return [], {}

        def load_file_list(self, download: bool = True) -> Any:
            return [], []

    asked = make.fetched_by(torchvision.datasets.places365, monkeypatch)
    ImagesOnly(str(tmp_path), split="val", small=True, download=True)
    assert asked == {a.urls[0]: a.digest for a in PLACES.archives}
    assert {name for archive in PLACES.archives for name in archive.gives} == set(PLACES.needs)
