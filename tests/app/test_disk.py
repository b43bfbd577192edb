"""A run that does not fit on the disk is refused before anything is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from explaindebug.core import io as files


def test_a_full_disk_is_told_before_the_training(
    run: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: Any
) -> None:
    usage = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: usage)
    status, said = run("bug=labels", "output=out")
    assert status == 1
    assert "keeping 3 trained networks in" in said
    assert "has 10.0 kB left. Free some" in said
    assert not (tmp_path / "store").exists()
