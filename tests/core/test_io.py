"""Files that are written whole, copied whole, or named where they can't be."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from explaindebug.core import io as files
from explaindebug.core.io import (
    WRITING,
    link_or_copy,
    remove_parts,
    replacing,
    set_aside,
    write_atomically,
)

KILLED = """
import os, signal, sys
from explaindebug.core.io import replacing
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


def test_an_error_without_a_name_gets_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("before")

    def write() -> None:
        with replacing(tmp_path / "scores.csv") as file:
            file.write("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError) as caught:  # noqa: PT011
        write()
    assert caught.value.filename == str(tmp_path / "scores.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
    assert (tmp_path / "scores.csv").read_text() == "before"


class TestCopies:
    @pytest.mark.parametrize("linked", [True, False])
    @pytest.mark.parametrize("before", [None, b"", b"con", b"content and more"])
    def test_whatever_was_there_a_copy_is_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool, before: bytes | None
    ) -> None:
        def other_disk(*_: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        if not linked:
            monkeypatch.setattr(files.os, "link", other_disk)
        source, target = tmp_path / "source", tmp_path / "folder" / "target"
        source.write_bytes(b"content")
        if before is not None:
            target.parent.mkdir()
            target.write_bytes(before)
        link_or_copy(source, target)
        assert target.read_bytes() == b"content"
        assert target.samefile(source) == linked
        assert [path.name for path in target.parent.iterdir()] == ["target"]

    def test_a_disk_that_fills_up_is_that_of_the_copy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(files.os, "link", full)
        monkeypatch.setattr(shutil, "copyfileobj", full)
        (tmp_path / "source").write_bytes(b"content")
        with pytest.raises(OSError) as caught:  # noqa: PT011
            link_or_copy(tmp_path / "source", tmp_path / "target")
        assert caught.value.filename == str(tmp_path / "target")


def test_only_half_written_files_are_removed(tmp_path: Path) -> None:
    ours = (f".scores.csv.ab12_xyz{WRITING}", f"records/.clean.json.00000000{WRITING}")
    others = (".images.tar.gz.part", "notes.part", ".x.part", "scores.csv")
    (tmp_path / "records").mkdir()
    for name in (*ours, *others):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {*others, "records"}
    assert not list((tmp_path / "records").iterdir())


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_set_aside_replaces_what_was_before(tmp_path: Path, kind: str) -> None:
    for _ in range(2):
        path = tmp_path / "last.ckpt"
        if kind == "file":
            path.touch()
        elif kind == "folder":
            (path / "inside").mkdir(parents=True)
        else:
            path.symlink_to("nowhere")
        assert set_aside(path).name == "last.ckpt.damaged"
        assert os.listdir(tmp_path) == ["last.ckpt.damaged"]
