"""A signal by its name, its options, or the path of a function."""

from typing import Any

import numpy as np
import pytest
from known_signals import blot

from explaindebug.bugs.marks import Stripes, Tag
from explaindebug.bugs.named_signals import signal_named
from explaindebug.bugs.own_signal import OwnSignal
from explaindebug.core.errors import ConfigError


def test_by_name_with_options_and_as_an_object() -> None:
    assert signal_named("tag", "signal", fraction=0.5) == Tag(fraction=0.5)
    named = signal_named({"stripes": {"count": 2, "fraction": 1.0}}, "signal", fraction=0.5)
    assert named == Stripes(count=2)  # what is said of one signal overrides what is said of all
    tag = Tag(size=0.3)
    assert signal_named(tag, "signal", fraction=0.5) is tag


@pytest.mark.parametrize("path", ["known_signals.blot", "known_signals:blot"])
def test_by_the_path_of_a_function(path: str) -> None:
    found = signal_named({path: {"fraction": 0.25}}, "signal")
    assert isinstance(found, OwnSignal)
    assert (found.fraction, found.title) == (0.25, "Spurious blot")


def test_a_function_itself() -> None:
    found = signal_named(blot, "signal", fraction=0.25)
    assert isinstance(found, OwnSignal)
    assert found.fraction == 0.25
    changed, mask = found.put(np.zeros((8, 8, 3), np.uint8))
    assert (changed[mask] == 255).all()
    assert mask.sum() == 25


@pytest.mark.parametrize("spec", ["tog", {"tag": {"sise": 1}}, "no_such_module:blot", "logo.png"])
def test_what_is_no_signal(spec: object) -> None:
    with pytest.raises(ConfigError):
        signal_named(spec, "signal")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"tag": {}, "stripes": {}},
        # What Hydra makes of +signal.known_signals.blot.size=3: an option that would be lost.
        {"known_signals.blot": {}, "known_signals": {"blot": {"size": 3}}},
    ],
)
def test_no_signal_and_several(spec: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"has {len(spec)} entries"):
        signal_named(spec, "signal")
