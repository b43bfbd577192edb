"""Photographs by convention or by pattern, and everything that can be wrong with a folder."""

import shutil

import numpy as np
import pytest

from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.datamodules import Photos

COUNTS = {"train": 12, "val": 4, "test": 4}
PATTERNS = {
    name: {"images": f"{name}/images/*.png", "masks": f"{name}/masks/*.png"}
    for name in ("bird", "dog")
}


def test_convention_names_and_patterns_give_the_same_data(photo_root):
    found = Photos(root=photo_root, size=16, **COUNTS)
    assert found.classes == ("bird", "dog")
    for classes in (["bird", "dog"], PATTERNS):
        other = Photos(root=str(photo_root), classes=classes, size=16, **COUNTS)
        assert other.fingerprint() == found.fingerprint()
    assert [len(part) for part in found.clean] == [12, 4, 4]


def test_the_spurious_bug_uses_the_scenes_of_the_folders(photo_root):
    module = Photos(root=photo_root, size=16, **COUNTS).with_bug(SpuriousBackground())
    assert module.data.test.scenes.shape == (4, 16, 16, 3)
    assert len(list(module.probe_dataloader(4))) == 1
    drawn = Photos(root=photo_root, scenes={"bird": "drawn:sky", "dog": "drawn:bamboo"}, **COUNTS)
    assert drawn.with_bug(SpuriousBackground()).data.test.scenes.shape == (4, 112, 112, 3)


def test_a_class_without_scenes_is_refused_but_only_where_scenes_are_needed(photo_root):
    shutil.rmtree(photo_root / "dog/scenes")
    module = Photos(root=photo_root, size=16, **COUNTS)
    with pytest.raises(DataError, match="class 'dog' has no scene; there are scenes for 'bird'"):
        module.with_bug(SpuriousBackground()).check()
    module.with_bug(LabelFlips()).check()


def test_scenes_of_no_class_or_without_files_are_refused(photo_root):
    bug = SpuriousBackground()
    module = Photos(root=photo_root, scenes={"brid": "bird/scenes/*"}, **COUNTS)
    with pytest.raises(ConfigError, match=r"'brid', which is not a class. Classes: bird, dog"):
        module.with_bug(bug).check()
    module = Photos(root=photo_root, scenes={"bird": "sky/*", "dog": "dog/scenes/*"}, **COUNTS)
    with pytest.raises(DataError, match=r"no scenes of class 'bird': .*'sky/\*'"):
        module.with_bug(bug).check()


def test_without_masks_there_is_no_spurious_bug(photo_root):
    for name in ("bird", "dog"):
        shutil.rmtree(photo_root / name / "masks")
    module = Photos(root=photo_root, size=16, **COUNTS)
    assert type(next(iter(module.probe_dataloader(2)))).__name__ == "Sample"
    with pytest.raises(DataError, match="can't be made from Photos: it has no masks"):
        module.with_bug(SpuriousBackground()).check()


def test_a_wrong_root_says_what_was_looked_for(photo_root):
    with pytest.raises(DataError, match=r"CLASS/images are needed.*nowhere does not exist"):
        Photos(root=photo_root / "nowhere").check()
    with pytest.raises(DataError, match=r"CLASS/images are needed.*bird has 0"):
        Photos(root=photo_root / "bird").check()
    with pytest.raises(DataError, match=r"no folder .*nowhere.*pictures of class 'bird'"):
        Photos(root=photo_root / "nowhere", classes=PATTERNS).check()


def test_folders_of_pictures_are_the_classes_where_none_has_images(photo_root, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    for name in ("bird", "dog"):
        shutil.copytree(photo_root / name / "images", above / "plain" / f"{name} [1]")
    (above / "plain" / "notes").mkdir()
    plain = Photos(root=above / "plain", size=16, **COUNTS)
    with pytest.warns(DataWarning, match="notes"):
        found = plain.data
    assert found.train.classes == ("bird [1]", "dog [1]")
    for part, other in zip(found, Photos(root=photo_root, size=16, **COUNTS).data, strict=True):
        np.testing.assert_array_equal(part.pixels, other.pixels)
        np.testing.assert_array_equal(part.labels, other.labels)
    named = Photos(root=above / "plain", classes=["dog [1]", "bird [1]"], size=16, **COUNTS)
    assert named.data.test.classes == ("dog [1]", "bird [1]")
    with pytest.raises(DataError, match="CLASS/images are needed"):
        Photos(root=above).check()  # one level too high


@pytest.mark.parametrize("name", ["bird [1]", "[bird]", "b*rd", "b?rd"])
def test_a_class_may_have_any_name(photo_root, name):
    (photo_root / "bird").rename(photo_root / name)
    (photo_root / "bird1").mkdir()  # what "bird [1]" would match as a pattern, and "b*rd"
    module = Photos(root=photo_root, size=16, **COUNTS)
    with pytest.warns(DataWarning, match=r"have no folder `images` and are left out: .*bird1"):
        module.check()
    assert set(module.classes) == {name, "dog"}
    assert module.clean.train.masks is not None
    assert set(module.scenes) == {name, "dog"}
    assert Photos(root=photo_root, classes=[name, "dog"], size=16, **COUNTS).clean.train.masks.any()


@pytest.mark.parametrize("folder", ["cat", "bird/masks", "bird/images", "bird/scenes"])
def test_a_folder_that_is_a_link_to_nothing_is_refused(photo_root, folder):
    shutil.rmtree(photo_root / folder, ignore_errors=True)
    (photo_root / folder).symlink_to(photo_root / "gone")
    module = Photos(root=photo_root, size=16, **COUNTS)
    with pytest.raises(DataError, match=rf"{folder} is a link to .*gone, which does not exist"):
        module.with_bug(SpuriousBackground()).check()


def test_progress_is_reported_where_wanted(photo_root):
    seen = []
    module = Photos(root=photo_root, size=16, **COUNTS)
    module.progress = lambda done, total: seen.append((done, total))
    module.check()
    assert seen[-1] == (20, 20)


REAL = {
    "bird": {"images": "birds_cub100/images/**/*.jpg", "masks": "birds_cub100/masks/**/*.png"},
    "dog": {"images": "dogs_stanford227/images/*.jpg", "masks": "dogs_stanford227/masks/*.png"},
}


def test_real_birds_before_sky_and_dogs_before_bamboo(real_data):
    module = Photos(
        root=real_data,
        classes=REAL,
        scenes={
            "bird": "backgrounds/bluesky/*.png",
            "dog": {"images": "backgrounds/bamboo/*.png", "region": [0, 0, 0.8, 0.62]},
        },
        size=32,
        limit=60,
        train=80,
        val=20,
        test=20,
    ).with_bug(SpuriousBackground())
    with pytest.warns(DataWarning, match="^2 of 3812 pictures left out, .* copies"):
        test = module.data.test
    sky, bamboo = (test.scenes[test.labels == k].mean((0, 1, 2)) for k in (0, 1))
    assert np.argmax(sky) == 2  # blue
    assert np.argmax(bamboo) == 1  # green
