"""If several runs are started in one folder, only one writes at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from explaindebug.app.locks import RUNNING, alone_in
from explaindebug.core.errors import ConfigError

Run = Callable[..., tuple[int, str]]


def test_a_second_one_is_refused_while_the_first_one_writes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with alone_in(folder), pytest.raises(ConfigError, match="at the moment"), alone_in(folder):
        pass
    assert not list(folder.iterdir())
    with alone_in(folder):  # nothing is left of it
        pass


def test_a_run_says_so_before_it_does_anything(run: Run, tmp_path: Path) -> None:
    with alone_in(tmp_path / "out"):
        status, error = run("output=out", "bug=reinit")
        assert [path.name for path in (tmp_path / "out").iterdir()] == [RUNNING]
    assert status == 1
    assert "another run is writing into" in error
    assert "output=" in error
    assert not (tmp_path / "store").exists()


def test_what_a_killed_run_left_takes_no_folder(tmp_path: Path) -> None:
    """A run that was killed while writing its first file."""
    from explaindebug.app.run_folder import _fresh

    for name in (RUNNING, ".run.json.abcd1234.write.part"):
        (tmp_path / name).touch()
    assert _fresh(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [RUNNING]
    (tmp_path / ".thesis.tex.abcd1234.write.part").touch()  # of somebody else
    assert not _fresh(tmp_path)
