"""What all spurious signals keep to: who carries one, where it is, and nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from known_signals import built

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import SpuriousSignal
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet

NAMES = [name for name in BUGS if issubclass(BUGS[name], SpuriousSignal)]
MARKS = [name for name in NAMES if name != "background"]


@pytest.fixture
def clean() -> ImageSet:
    """Random pictures of 32 x 32, birds and dogs in turn, with a box as object; scenes known."""
    rng = np.random.default_rng(0)
    masks = np.zeros((20, 32, 32), bool)
    masks[:, 6:22, 8:20] = True
    pixels = rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    known = rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(20) % 2, ("bird", "dog"), masks, known)


@pytest.mark.parametrize("name", NAMES)
def test_the_mask_is_exact(clean, name, scenes) -> None:
    """Nothing changes off the signal, and something does on every picture's signal."""
    options = {"feather": 0.0} if name == "background" else {}
    made = built(name, **options)(clean, scenes=scenes, split="test")
    changed = (made.pixels != clean.pixels).any(-1)
    assert not (changed & ~made.signals).any()
    share = changed.sum((1, 2)) / made.signals.sum((1, 2))
    assert (share > 0.9).all()
    assert (made.labels == clean.labels).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_only_the_classes_that_have_a_signal_carry_it_and_all_test_pictures_do(
    clean, name, fraction, scenes
) -> None:
    bug = built(name, fraction=fraction)
    made = bug(clean, scenes=scenes, split="train")
    carry = made.signals.any((1, 2))
    expected = [round(fraction * 10) if k in bug.classes(clean) else 0 for k in (0, 1)]
    assert [int(carry[clean.truth == k].sum()) for k in (0, 1)] == expected
    assert np.flatnonzero(carry).tolist() == bug.affected(clean).tolist()
    assert np.array_equal(made.pixels[~carry], clean.pixels[~carry])
    assert bug(clean, scenes=scenes, split="test").signals.any((1, 2)).all()


@pytest.mark.parametrize("name", MARKS)
def test_the_class_that_carries_it_is_chosen_by_name(clean, name, scenes) -> None:
    made = built(name, aligned="dog")(clean, scenes=scenes)
    assert (made.signals.any((1, 2)) == (clean.truth == 1)).all()
    with pytest.raises(ConfigError, match=r"aligned=dig.*'dog'"):
        built(name, aligned="dig")(clean, scenes=scenes)


@pytest.mark.parametrize("name", NAMES)
def test_any_class_s_signal_can_be_added_to_any_picture(clean, name, scenes) -> None:
    bug = built(name)
    for label in bug.classes(clean):
        made = bug.added(clean, label, scenes=scenes)
        own = bug(clean, scenes=scenes, split="test")
        same = bug.carried_class(clean) == label
        assert np.array_equal(made.pixels[same], own.pixels[same])
        assert (made.truth == clean.truth).all()
        assert made.signals.any((1, 2)).all()
    if name == "background":
        assert (made.pixels[~same] != own.pixels[~same]).any((1, 2, 3)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_signal_alone_has_the_signal_and_not_the_object(clean, name, scenes) -> None:
    made = built(name)(clean, scenes=scenes, split="test")
    assert made.scenes is not None
    on_object = clean.masks & ~made.signals
    assert (made.scenes[on_object] != clean.pixels[on_object]).mean() > 0.9
    if name in ("tag", "stripes", "function"):
        assert np.array_equal(made.scenes[made.signals], made.pixels[made.signals])
    if name in ("tag", "stripes", "function", "image"):
        assert np.array_equal(made.scenes[~made.signals], clean.scenes[~made.signals])


@pytest.mark.parametrize("name", ["tag", "stripes", "image", "function"])
def test_a_mark_needs_neither_masks_nor_scenes(clean, name) -> None:
    bare = replace(clean, masks=None, scenes=None)
    made = built(name)(bare, split="test")
    batch = made.masked_batch([3, 4])
    assert torch.equal(batch.signal[:, 0], torch.from_numpy(made.signals[[3, 4]]))
    plain = made.scenes[~made.signals].reshape(20, -1, 3)
    assert np.array_equal(plain, np.broadcast_to(plain[:, :1], plain.shape))  # one colour
    grey = replace(bare, pixels=clean.pixels[..., :1])
    assert built(name)(grey).pixels.shape == grey.pixels.shape


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_is_kept_when_pictures_are_chosen(clean, name, scenes) -> None:
    made = built(name)(clean, scenes=scenes, split="test")
    part = made.subset([5, 2])
    assert np.array_equal(part.signals, made.signals[[5, 2]])
    assert np.array_equal(part.unmarked, ~made.signals[[5, 2]])
    assert np.array_equal(clean.unmarked, clean.masks)


@pytest.mark.parametrize("value", [-0.1, 1.1])
@pytest.mark.parametrize("name", NAMES)
def test_impossible_fractions_are_refused(name, value) -> None:
    with pytest.raises(ConfigError, match=f"fraction .* got {value}"):
        built(name, fraction=value)
