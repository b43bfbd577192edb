"""Files that are written whole or not at all, and what killed processes leave of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from explaindebug.files import WRITING, replacing, write_atomically

KILLED = """
import os, signal, sys
from explaindebug.files import replacing
with replacing(sys.argv[1]) as file:
    file.write("half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "old")

    def cut() -> None:
        with replacing(tmp_path / "a.txt") as file:
            file.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks to see by whether a process lives")
def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.txt")], check=False)
    assert len(names(tmp_path)) == 1
    (tmp_path / ".data.tar.part").touch()  # half a download: it goes on there
    write_atomically(tmp_path / "b.txt", "b")
    assert names(tmp_path) == [".data.tar.part", "b.txt"]


def test_what_is_still_being_written_stays(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as file:
        file.write("a")
        write_atomically(tmp_path / "a.txt", "b")
        assert len(list(tmp_path.glob(f".*{WRITING}"))) == 1
    assert (tmp_path / "a.txt").read_text() == "a"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_is_readable_by_those_whom_the_umask_permits(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode
