"""Pictures in memory: what fits together, what is served, and what names the content."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from explaindebug.core.errors import DataError
from explaindebug.data import ImageSet, MaskedSample, MaskedView, Sample, collate


@pytest.fixture
def images() -> ImageSet:
    rng = np.random.default_rng(0)
    return ImageSet(
        rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
        np.array([0, 1, 2, 0, 1, 2]),
        ("a", "b", "c"),
        masks=rng.random((6, 8, 8)) < 0.5,
        scenes=rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"labels": np.zeros(5, np.int64)},
        {"labels": np.zeros(6, np.int32)},
        {"truth": np.zeros((6, 1), np.int64)},
        {"indices": np.zeros(7, np.int64)},
        {"masks": np.zeros((6, 8, 8), np.uint8)},
        {"masks": np.zeros((6, 8, 4), np.bool_)},
        {"scenes": np.zeros((6, 8, 8, 1), np.uint8)},
        {"pixels": np.zeros((6, 8, 8, 3), np.float32)},
        {"pixels": np.zeros((6, 8, 8), np.uint8)},
    ],
)
def test_arrays_that_dont_fit_are_refused_by_name(images, change):
    with pytest.raises(DataError, match="pictures" if "pixels" in change else next(iter(change))):
        replace(images, **change)


@pytest.mark.parametrize("name", ["labels", "truth"])
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_the_classes_are_refused(images, name, label):
    with pytest.raises(
        DataError, match=rf"{name} range from .*{label}.*3 classes \(0 to 2\): a, b, c"
    ):
        replace(images, **{name: np.array([0, 1, 2, 0, 1, label])})


def test_a_batch_is_the_stack_of_its_items(images):
    batch = images.batch([4, 1])
    for i, row in enumerate((4, 1)):
        for got, item in zip(batch, images[row], strict=True):
            assert torch.equal(got[i], item)
    assert batch.image.shape == (2, 3, 8, 8)
    assert batch.image.is_contiguous()
    assert batch.label.dtype == batch.row.dtype == torch.int64


def test_normalised_values_are_bytes_minus_mean_over_std(images):
    whole = replace(images, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    for c in range(3):
        x = (images.pixels[0, :, :, c] / 255 - whole.mean[c]) / whole.std[c]
        assert whole[0].image[c].numpy() == pytest.approx(x, abs=1e-6)


def test_a_subset_keeps_everything_of_its_rows_and_where_they_came_from(images):
    twice = images.subset([5, 2, 3]).subset(np.array([2, 0]))
    assert twice.indices.tolist() == [3, 5]
    for name in ("pixels", "labels", "masks", "scenes", "truth"):
        assert np.array_equal(getattr(twice, name), getattr(images, name)[[3, 5]])
    assert torch.equal(images.subset(slice(1, 3))[1].image, images[2].image)


def test_masked_batches_hold_signal_and_scene(images):
    batch = images.masked_batch([3, 0])
    assert isinstance(batch, MaskedSample)
    assert torch.equal(batch.signal[:, 0], torch.from_numpy(~images.masks[[3, 0]]))
    assert torch.equal(batch.scene, images.normalise(images.scenes[[3, 0]]))
    view = MaskedView(images)
    assert len(view) == 6
    assert torch.equal(view[3].scene, batch.scene[0])


def test_masked_batches_need_masks_or_signals_but_no_scenes(images):
    with pytest.raises(DataError, match="neither masks nor signals"):
        replace(images, masks=None).masked_batch([0])
    without = replace(images, scenes=None)
    assert without.masked_batch([0]).scene is None
    assert MaskedView(without)[0].scene is None
    assert collate([MaskedView(without)[0], MaskedView(without)[1]]).scene is None


@pytest.mark.parametrize("kind", [Sample, MaskedSample])
def test_collate_stacks_items_and_passes_batches_on(images, kind):
    data = images if kind is Sample else MaskedView(images)
    whole = data.__getitems__([0, 1])
    stacked = collate([data[0], data[1]])
    assert collate(whole) is whole
    assert isinstance(stacked, kind)
    assert all(torch.equal(a, b) for a, b in zip(whole, stacked, strict=True))


@pytest.mark.parametrize("name", ["pixels", "labels", "masks", "scenes"])
def test_the_fingerprint_tells_every_change(images, name):
    changed = getattr(images, name).copy()
    changed.flat[-1] = not changed.flat[-1]
    twin = replace(images, **{name: changed})
    assert twin.fingerprint() != images.fingerprint()
    assert (
        replace(images, **{name: getattr(images, name).copy()}).fingerprint()
        == images.fingerprint()
    )


def test_the_fingerprint_is_of_content_not_of_memory(images):
    black = np.broadcast_to(np.uint8(0), images.scenes.shape)
    assert (
        replace(images, scenes=black).fingerprint()
        == replace(images, scenes=black.copy()).fingerprint()
    )
    assert replace(images, scenes=None).fingerprint() != images.fingerprint()
