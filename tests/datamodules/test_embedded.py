"""The embedded data modules: no files, both domains of one shape, and the bugs they allow."""

import numpy as np
import pytest

from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.datamodules import Embedded, Figures

FEW = {"size": 24, "train": 40, "val": 10, "test": 20}


def test_counts_size_and_seed_are_passed_on():
    module = Embedded(**FEW)
    assert [len(part) for part in module.clean] == [40, 10, 20]
    assert module.clean.train.size == (3, 24, 24)
    assert module.fingerprint() == Embedded(**FEW).fingerprint()
    assert module.fingerprint() != Embedded(**FEW, seed=1).fingerprint()
    assert module.with_seed(1).fingerprint() == module.fingerprint()


def test_birds_stand_before_sky_and_dogs_before_bamboo():
    assert Embedded(**FEW).classes == ("bird", "dog")
    test = Embedded(**FEW).with_bug(SpuriousBackground()).data.test
    sky, bamboo = (test.scenes[test.labels == k].mean((0, 1, 2)) for k in (0, 1))
    assert np.argmax(sky) == 2
    assert np.argmax(bamboo) == 1
    away = ~test.masks[:, :3, :3].any((1, 2))
    assert np.array_equal(test.pixels[away, 0, 0], test.scenes[away, 0, 0])


def test_other_scenes_can_be_chosen():
    with pytest.raises(ConfigError, match="unknown drawn scene 'skyy'"):
        Embedded(scenes={"bird": "skyy", "dog": "sky"})
    swapped = Embedded(**FEW, scenes={"bird": "bamboo", "dog": "sky"})
    assert swapped.with_bug(SpuriousBackground()).fingerprint() != swapped.fingerprint()


def test_figures_are_ten_classes_of_the_same_shape():
    module = Figures(**FEW)
    assert module.clean.train.size == Embedded(**FEW).clean.train.size
    assert len(module.classes) == 10
    module.with_bug(LabelFlips()).check()
    with pytest.raises(DataError, match="can't be made from Figures"):
        module.with_bug(SpuriousBackground()).check()
