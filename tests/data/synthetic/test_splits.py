"""Embedded pictures: seeded one by one, balanced, with exact masks, refused with words."""

from itertools import combinations

import numpy as np
import pytest

from explaindebug.core.errors import ConfigError
from explaindebug.data.imageset import ImageSet
from explaindebug.data.synthetic.scenes import SCENES
from explaindebug.data.synthetic.splits import animals, draw_scenes, figures

DOMAINS = [animals, figures]


@pytest.fixture(scope="module", params=DOMAINS, ids=lambda f: f.__name__)
def splits(request):
    return request.param(size=40, train=60, val=20, test=20, seed=3)


def arrays(data: ImageSet) -> list[np.ndarray]:
    return [data.pixels, data.labels, data.masks, data.scenes]


def test_shapes_and_what_is_known(splits):
    for data, count in zip(splits, (60, 20, 20), strict=True):
        assert data.pixels.shape == data.scenes.shape == (count, 40, 40, 3)
        assert data.masks.shape == (count, 40, 40)
        assert data.pixels.dtype == data.scenes.dtype == np.uint8
        assert np.array_equal(data.truth, data.labels)


@pytest.mark.parametrize("domain", DOMAINS)
def test_more_pictures_change_none_of_the_first(domain):
    few, many = (domain(size=24, train=n, val=n + 1, test=n + 2, seed=5) for n in (3, 11))
    for a, b in zip(few, many, strict=True):
        for x, y in zip(arrays(a), arrays(b), strict=True):
            assert np.array_equal(x, y[: len(x)])


@pytest.mark.parametrize("domain", DOMAINS)
def test_another_seed_gives_other_pictures(domain):
    a, b = (domain(size=24, train=6, val=1, test=1, seed=s).train.pixels for s in (0, 1))
    assert not any(np.array_equal(x, y) for x in a for y in b)


def test_every_picture_and_scene_is_drawn_once(splits):
    for name in ("pixels", "scenes"):
        drawn = [picture.tobytes() for data in splits for picture in getattr(data, name)]
        assert len(set(drawn)) == len(drawn)


def test_classes_are_balanced_in_every_prefix_and_shuffled(splits):
    for data in splits:
        k = len(data.classes)
        for n in range(1, len(data) + 1):
            counts = np.bincount(data.labels[:n], minlength=k)
            assert np.ptp(counts) <= 1
    runs = splits.train.labels.reshape(-1, k)
    assert len({tuple(run) for run in runs}) > 1


def test_where_nothing_is_drawn_the_scene_is_untouched(splits):
    for data in splits:
        touched = (data.pixels != data.scenes).any(axis=-1)
        assert not (touched & ~grown(data.masks)).any()


def test_almost_everything_inside_the_mask_is_the_thing(splits):
    for data in splits:
        touched = (data.pixels != data.scenes).any(axis=-1)
        assert touched[data.masks].mean() > 0.98  # a coat may match a pixel of its scene by chance


def grown(masks: np.ndarray) -> np.ndarray:
    """Masks with their neighbours, diagonal ones too: an edge pixel's anti-aliasing."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    h, w = masks.shape[1:]
    return np.any([padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], axis=0)


def test_things_are_whole_inside_the_picture_and_large_enough_to_see(splits):
    masks = np.concatenate([data.masks for data in splits])
    border = np.concatenate([masks[:, [0, -1]].ravel(), masks[:, :, [0, -1]].ravel()])
    assert not border.any()
    assert masks.mean(axis=(1, 2)).min() > 0.03
    assert masks.mean(axis=(1, 2)).max() < 0.75


def test_another_size_shows_the_same_pictures():
    small, large = (animals(size=s, train=12, val=1, test=1).train for s in (24, 72))
    assert np.array_equal(small.labels, large.labels)
    coarse = large.masks.reshape(12, 24, 3, 24, 3).mean(axis=(2, 4)) >= 0.5
    assert (coarse & small.masks).sum() / (coarse | small.masks).sum() > 0.85
    means = [d.pixels.mean(axis=(1, 2)) for d in (small, large)]
    assert np.abs(means[0] - means[1]).max() < 8


def test_neither_colour_nor_place_nor_area_tells_the_class():
    """The best threshold on any such number is hardly better than guessing."""
    data = animals(size=32, train=600, val=1, test=1, seed=1).train
    weight = data.masks / data.masks.sum(axis=(1, 2), keepdims=True)
    colour = (data.pixels * weight[..., None]).sum(axis=(1, 2))
    place = [np.tensordot(weight, np.indices((32, 32))[axis], axes=2) for axis in (0, 1)]
    numbers = [*colour.T, *place, data.masks.mean(axis=(1, 2)), *data.scenes.mean(axis=(1, 2)).T]
    for values in numbers:
        order = data.labels[np.argsort(values, kind="stable")]
        right = np.cumsum(order == 0) + (order == 1).sum() - np.cumsum(order == 1)
        assert max(right.max(), 600 - right.min()) / 600 < 0.68


def test_ten_kinds_of_scenes_and_more_that_differ():
    assert len(set(SCENES)) == len(SCENES) >= 12
    assert {"sky", "bamboo"} <= set(SCENES)
    looks = {kind: _look(draw_scenes(kind, 8, size=32, seed=0)) for kind in SCENES}
    for a, b in combinations(SCENES, 2):
        assert np.abs(looks[a] - looks[b]).max() > 8, f"{a} looks like {b}"


def _look(pictures: np.ndarray) -> np.ndarray:
    """Mean colour, contrast, and roughness along both axes."""
    x = pictures.astype(float)
    rough = [np.abs(np.diff(x, axis=axis)).mean() for axis in (1, 2)]
    return np.array([*x.mean(axis=(0, 1, 2)), x.std(axis=(1, 2)).mean(), *rough])


@pytest.mark.parametrize("kind", SCENES)
def test_scenes_are_seeded_one_by_one(kind):
    few, many = (draw_scenes(kind, n, size=20, seed=7) for n in (2, 5))
    assert many.shape == (5, 20, 20, 3)
    assert many.dtype == np.uint8
    assert np.array_equal(few, many[:2])
    others = [draw_scenes(kind, 1, size=20, seed=8)[0], *many]
    assert len({scene.tobytes() for scene in others}) == 6


@pytest.mark.parametrize("size", [16, 33, 150])
@pytest.mark.parametrize("domain", DOMAINS)
def test_any_size_from_the_smallest_on(domain, size):
    data = domain(size=size, train=20, val=1, test=1).train
    assert data.pixels.shape == (20, size, size, 3)
    assert data.masks.any(axis=(1, 2)).all()


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 15}, "size .* got 15"),
        ({"train": 0}, "train .* got 0"),
        ({"val": -1}, "val .* got -1"),
        ({"test": 0}, "test .* got 0"),
        ({"seed": -2}, "seed .* got -2"),
    ],
)
def test_impossible_options_are_refused_with_their_value(domain, options, words):
    with pytest.raises(ConfigError, match=words):
        domain(**{"size": 16, "train": 1, "val": 1, "test": 1, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "bambo"}, "Did you mean 'bamboo'"),
        ({"kind": "parlour"}, "Known: sky, bamboo"),
        ({"count": 0}, "scenes .* got 0"),
        ({"size": 8}, "size .* got 8"),
        ({"seed": -1}, "seed .* got -1"),
    ],
)
def test_impossible_scenes_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        draw_scenes(**{"kind": "sky", "count": 1, "size": 16, "seed": 0, **options})
