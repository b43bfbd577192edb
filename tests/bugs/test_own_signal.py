"""A function of the user's own as signal: what it may return, and what is refused."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from known_signals import blot

from explaindebug.bugs.marks import Tag
from explaindebug.bugs.own_signal import OwnSignal, signal_at
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet


@pytest.fixture
def clean() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(6) % 2, ("bird", "dog"))


@dataclass
class Corner:
    """A class of the user's: its options make it, its pictures it is called with."""

    size: int = 4

    def __call__(self, picture):
        return blot(picture, self.size)


def test_a_function_a_class_and_an_object_are_taken_with_their_options(clean: ImageSet) -> None:
    expected = OwnSignal(call=blot, options={"size": 3})(clean, split="test")
    assert expected.signals.sum((1, 2)).tolist() == [9] * 6
    for bug in (
        OwnSignal(call=Corner(3)),
        OwnSignal(call=Corner, options={"size": 3}),
        OwnSignal(call="known_signals.blot", options={"size": 3}),
        signal_at("known_signals.blot", {"size": 3}),
    ):
        made = bug(clean, split="test")
        assert np.array_equal(made.pixels, expected.pixels)
        assert np.array_equal(made.signals, expected.signals)


def test_the_signal_alone_stands_on_the_mean_colour(clean: ImageSet) -> None:
    made = OwnSignal(call=blot, options={"size": 3})(clean, split="test")
    assert made.scenes is not None
    mean = clean.pixels.mean((1, 2), keepdims=True).round()
    assert np.array_equal(made.scenes[:, :3, :3], 255 - clean.pixels[:, :3, :3])
    assert np.array_equal(made.scenes[:, 3:], np.broadcast_to(mean, clean.pixels.shape)[:, 3:])


def test_an_import_path_has_the_options_of_the_signal_and_of_the_function() -> None:
    bug = signal_at("known_signals.blot", {"size": 3, "aligned": "dog", "fraction": 0.5})
    assert (bug.aligned, bug.fraction, bug.options) == ("dog", 0.5, {"size": 3})
    assert bug.title == "Spurious blot"
    assert signal_at("known_signals.blot", {"called": "ink"}).title == "Spurious ink"
    assert signal_at("explaindebug.bugs.marks.Tag", {"size": 0.3}) == Tag(size=0.3)
    with pytest.raises(ConfigError, match=r"Tag can't be made with sice"):
        signal_at("explaindebug.bugs.marks.Tag", {"sice": 0.3})


def test_its_record_is_plain_and_names_the_function(clean: ImageSet) -> None:
    record = OwnSignal(call=blot, options={"size": 3}).record(clean)
    told = json.loads(json.dumps(record.to_dict()))["options"]
    assert (told["call"], told["options"]) == ("blot", {"size": 3})


def test_another_option_is_another_bug() -> None:
    assert OwnSignal(call=blot) == OwnSignal(call=blot)
    assert len({OwnSignal(call=blot), OwnSignal(call=blot, options={"size": 3})}) == 2


@pytest.mark.parametrize(
    ("call", "options", "said"),
    [
        ("nowhere.tag", {}, r"'nowhere.tag' can't be imported \(ModuleNotFoundError"),
        ("known_signals.tag", {}, r"'known_signals.tag' can't be imported \(AttributeError"),
        ("known_signals.Path.sep", {}, r"can't be imported"),
        ("os.sep", {}, r"os.sep is a str, but a function or class is needed"),
        ("known_signals.blot", {"sice": 3}, r"can't be called with a picture with sice"),
        (Corner, {"sice": 3}, r"Corner can't be made with sice"),
        (3, {}, r"is a int, but a function"),
    ],
)
def test_what_can_not_be_called_is_refused_when_it_is_made(call, options, said) -> None:
    with pytest.raises(ConfigError, match=said):
        OwnSignal(call=call, options=options)


def square(mask: bool = True) -> np.ndarray:
    found = np.full((16, 16), not mask)
    found[:4, :4] = mask
    return found


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda p: 1 / 0, r"failed on a picture, uint8 \(16, 16, 3\): ZeroDivisionError"),
        (lambda p: p, r"returned an array uint8 \(16, 16, 3\), but must return .* two arrays"),
        (lambda p: (p / 2, square()), r"an array float64 .* as its picture, but it must be uint8"),
        (lambda p: (p[:8], square()), r"uint8 \(8, 16, 3\) as its picture"),
        (lambda p: (p, square().astype(int)), r"int64 \(16, 16\) as its mask, .* must be bool"),
        (lambda p: (p, square()[:8]), r"bool \(8, 16\) as its mask"),
        (lambda p: (p, None), r"a NoneType as its mask"),
        (lambda p: (255 - p, square()), r"changed 240 pixels off its mask"),
        (lambda p: (255 - p, np.ones((16, 16), bool)), r"a mask that is True everywhere"),
        (lambda p: (p, np.zeros((16, 16), bool)), r"a mask that is False everywhere"),
        (lambda p: (p, square()), r"returned a picture as it was"),
    ],
)
def test_what_is_no_signal_is_refused(clean: ImageSet, function, said) -> None:
    with pytest.raises(ConfigError, match=said):
        OwnSignal(call=function)(clean, split="test")


def test_what_draws_anew_each_time_is_refused(clean: ImageSet) -> None:
    rng = np.random.default_rng(0)

    def noisy(picture):
        picture[:4, :4] = rng.integers(0, 256, (4, 4, 3))
        return picture, square()

    with pytest.raises(ConfigError, match="something else of the same picture"):
        OwnSignal(call=noisy)(clean)


def test_a_later_picture_is_checked_as_well(clean: ImageSet) -> None:
    first = clean.pixels[0].copy()

    def fails(picture):
        return blot(picture) if (picture == first).all() else (255 - picture, square())

    with pytest.raises(ConfigError, match="off its mask"):
        OwnSignal(call=fails)(clean)
