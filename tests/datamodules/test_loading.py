"""Batches: their order depends on seed and epoch alone, and nothing global moves."""

import numpy as np
import pytest
import torch

from explaindebug.data import ImageSet, Sample
from explaindebug.datamodules.loading import (
    Augmented,
    EpochShuffle,
    augmented,
    loader,
    shifted,
    turned,
)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (21, 10, 10, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(21) % 2, ("a", "b"))


def rows(batches):
    return torch.cat([batch.row for batch in batches]).tolist()


def test_every_epoch_has_its_own_order_of_all_rows(images):
    batches = loader(images, batch_size=4, seed=3, shuffle=True)
    epochs = [rows(batches) for _ in range(3)]
    assert all(sorted(epoch) == list(range(21)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    again = loader(images, batch_size=4, seed=3, shuffle=True)
    again.sampler.set_epoch(2)  # as after a resume
    assert rows(again) == epochs[2]
    assert rows(loader(images, batch_size=4, seed=4, shuffle=True)) != epochs[0]


def test_the_order_does_not_depend_on_batch_size_or_workers(images):
    expected = rows(loader(images, batch_size=4, shuffle=True))
    assert rows(loader(images, batch_size=7, shuffle=True)) == expected
    assert rows(loader(images, batch_size=4, workers=2, shuffle=True)) == expected
    assert expected == list(EpochShuffle(images, 0))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_random_state_neither_matters_nor_moves(images, workers):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = rows(loader(images, batch_size=4, workers=workers, shuffle=True))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert rows(loader(images, batch_size=4, workers=workers, shuffle=True)) == first


def test_without_shuffling_the_order_is_that_of_the_data(images):
    batches = list(loader(images, batch_size=8))
    assert [len(batch.row) for batch in batches] == [8, 8, 5]
    assert rows(batches) == list(range(21))
    assert isinstance(batches[0], Sample)
    assert torch.equal(batches[1].image, images.batch(slice(8, 16)).image)


def test_no_augmentation_is_the_data_itself(images):
    assert augmented(images, "none") is images
    assert augmented(images, "flip").shift == 0
    assert augmented(images, "flip_shift").shift == 1


def test_about_half_are_flipped_and_labels_stay(images):
    torch.manual_seed(0)
    data = Augmented(images)
    flipped = 0
    for _ in range(20):
        sample = data.__getitems__(range(21))
        assert torch.equal(sample.label, torch.from_numpy(images.labels))
        clean = images.batch(slice(None)).image
        same = (sample.image == clean).all(-1).all(-1).all(-1)
        mirrored = (sample.image == clean.flip(-1)).all(-1).all(-1).all(-1)
        assert (same ^ mirrored).all()
        flipped += int(mirrored.sum())
    assert 170 < flipped < 250


def test_shifts_move_by_up_to_the_given_pixels():
    torch.manual_seed(0)
    dot = torch.zeros(300, 1, 11, 11)
    dot[:, :, 5, 5] = 1
    places = shifted(dot, 2)[:, 0].nonzero()[:, 1:]
    assert set(map(tuple, places.tolist())) == {(y, x) for y in range(3, 8) for x in range(3, 8)}


def test_augmentation_follows_the_seed_in_workers_too(images):
    def first(workers):
        torch.manual_seed(5)
        data = Augmented(images, 2)
        return torch.cat(
            [b.image for b in loader(data, batch_size=4, workers=workers, shuffle=True)]
        )

    for workers in (0, 2):
        assert torch.equal(first(workers), first(workers))


def test_turns_are_about_the_centre_and_as_wide_as_asked():
    torch.manual_seed(0)
    dot = torch.zeros(500, 1, 21, 21)
    dot[:, :, 10, 16] = 1  # six pixels right of the centre
    found = turned(dot, 90)[:, 0].flatten(1).argmax(1)
    y, x = (found // 21 - 10).float(), (found % 21 - 10).float()
    assert ((y**2 + x**2).sqrt() - 6).abs().max() <= 1
    assert (x >= -1).all(), "no more than a quarter turn"
    degrees = torch.rad2deg(torch.atan2(y, x))
    assert degrees.min() < -80
    assert degrees.max() > 80
    assert turned(dot, 0).allclose(dot, atol=1e-5)


def test_what_a_turn_shows_of_beyond_the_edge_is_the_edge():
    torch.manual_seed(0)
    assert turned(torch.ones(20, 3, 8, 12), 90).allclose(torch.ones(20, 3, 8, 12), atol=1e-5)


def test_flip_turn_turns_over_in_both_ways(images):
    torch.manual_seed(0)
    data = augmented(images, "flip_turn")
    assert (data.turn, data.shift) == (90, 0)
    sample = data.__getitems__(range(len(images)))
    assert sample.image.shape == images.batch(slice(None)).image.shape
    assert not sample.image.equal(images.batch(slice(None)).image)
    assert torch.equal(sample.label, torch.from_numpy(images.labels))
