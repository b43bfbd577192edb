"""One line on a terminal that says how far something is."""

import io
from typing import Any

from rich.console import Console

from explaindebug.app import progress


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
