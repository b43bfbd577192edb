"""Import paths of the user's."""

import math
from pathlib import Path

import pytest

from explaindebug.core.errors import ConfigError
from explaindebug.core.importing import imported


@pytest.mark.parametrize("path", ["math.sqrt", "math:sqrt"])
def test_both_ways_of_writing_a_path(path: str) -> None:
    assert imported(path, "") is math.sqrt


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module.sqrt", "no_such_module"),
        ("math:sqrd", "sqrt"),  # the nearest
        ("math.pi.sqrt", "sqrt"),
        ("", "Write it"),
    ],
)
def test_what_is_not_there_is_a_sentence_with_the_remedy(path: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        imported(path, "Write it as module.name.")
    assert said in str(refused.value)
    assert str(refused.value).endswith("Write it as module.name.")


def test_a_module_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_module.py").write_text("raise ValueError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="ValueError: not today"):
        imported("failing_module:f", "")
