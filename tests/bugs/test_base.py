"""What every bug in the data keeps to."""

import json

import numpy as np
import pytest
from known_signals import built

from explaindebug.bugs import BUGS
from explaindebug.bugs.base import DataBug, Record
from explaindebug.bugs.spurious_signal import SpuriousSignal
from explaindebug.data import ImageSet

NAMES = [name for name in BUGS if issubclass(BUGS[name], DataBug)]


@pytest.fixture
def clean():
    rng = np.random.default_rng(0)
    masks = np.zeros((40, 16, 16), bool)
    masks[:, 4:12, 5:11] = True
    pixels = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    return ImageSet(pixels, rng.integers(0, 2, 40), ("bird", "dog"), masks, scenes=pixels[::-1])


def test_the_bugs_of_the_papers_are_there():
    assert {"labels", "background", "tag", "stripes", "blur"} <= set(NAMES)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("name", NAMES)
def test_the_clean_pictures_are_untouched_byte_for_byte(clean, name, split, scenes):
    before = {k: v.tobytes() for k, v in vars(clean).items() if isinstance(v, np.ndarray)}
    made = built(name)(clean, scenes=scenes, split=split)
    assert made.fingerprint() != clean.fingerprint()
    assert before == {k: v.tobytes() for k, v in vars(clean).items() if isinstance(v, np.ndarray)}


@pytest.mark.parametrize("name", NAMES)
def test_it_depends_on_the_seed_and_on_nothing_else(clean, name, scenes):
    some = {"fraction": 0.5} if issubclass(BUGS[name], SpuriousSignal) else {}
    first = built(name, **some)(clean, scenes=scenes)
    np.random.seed(1)  # noqa: NPY002  # the global state must not matter
    assert built(name, **some)(clean, scenes=scenes).fingerprint() == first.fingerprint()
    other = built(name, seed=1, **some)(clean, scenes=scenes)
    assert other.fingerprint() != first.fingerprint()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_rows_does_not_matter(clean, name, scenes):
    bug = built(name)
    order = np.random.default_rng(3).permutation(40)
    made = bug(clean, scenes=scenes)
    shuffled = bug(clean.subset(order), scenes=scenes)
    assert shuffled.fingerprint() == made.subset(order).fingerprint()
    assert sorted(bug.record(shuffled).rows) == bug.record(made).rows


@pytest.mark.parametrize("name", NAMES)
def test_the_record_survives_json_and_is_the_same_before_and_after(clean, name, scenes):
    bug = built(name)
    made = bug(clean, scenes=scenes)
    record = bug.record(made)
    assert Record(**json.loads(json.dumps(record.to_dict()))) == record
    assert np.array_equal(bug.affected(clean), bug.affected(made))
    assert record.rows == made.indices[bug.affected(made)].tolist()
    assert len(record.rows) > 0
