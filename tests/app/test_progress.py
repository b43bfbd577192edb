"""The progress line on a terminal, and warnings of data modules."""

import io
import warnings
from typing import Any

import pytest
from rich.console import Console

from explaindebug.app import progress
from explaindebug.core.errors import DataWarning


def shown(monkeypatch: Any, *, terminal: bool) -> str:
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=out, force_terminal=terminal, width=80))
    show = progress.counting("reading")
    for done in range(1001):
        show(done, 1000)
    return out.getvalue()


def test_a_terminal_sees_each_percent_once_and_an_empty_line_at_last(monkeypatch: Any) -> None:
    said = shown(monkeypatch, terminal=True).split("\r")
    assert len(said) == 102
    assert "50" in said[50]
    assert said[100].strip() == ""


def test_a_log_file_sees_nothing(monkeypatch: Any) -> None:
    assert shown(monkeypatch, terminal=False) == ""


def test_what_data_warn_of_is_shown_and_noted_once_also_before_an_error(monkeypatch: Any) -> None:
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=out, width=80))
    notes: list[str] = []

    def load() -> None:
        with progress.noting(notes):
            for _ in range(2):
                warnings.warn("2 pictures [of 9] left out", DataWarning, stacklevel=1)
            warnings.simplefilter("always")
            warnings.warn("another", UserWarning, stacklevel=1)
            raise KeyError

    with pytest.warns(UserWarning, match="another"), pytest.raises(KeyError):
        load()
    assert notes == ["2 pictures [of 9] left out"]
    assert out.getvalue() == "data: 2 pictures [of 9] left out\n"
