"""Downloads: continued where they were cut, checked, and never half there."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from explaindebug.core import io as files
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.io import locked_temporary
from explaindebug.data.download import UNPACKING, Archive, fetch, unpack, verify

CONTENT = bytes(range(256)) * 5000


class Server:
    """Serves CONTENT, and notes where requests start; `cut` ends answers after so many bytes."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.cut: int | None = None
        self.ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", "bytes=0-")
                start = int(asked.removeprefix("bytes=").rstrip("-")) if outer.ranges else 0
                outer.starts.append(start)
                if start >= len(CONTENT):
                    self.send_error(416)
                    return
                body = CONTENT[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.cut])

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data.tar"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


def archive(*urls: str, **changes: Any) -> Archive:
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    options = {"digest": f"md5:{md5}", "size": len(CONTENT)} | changes
    return Archive("data.tar", urls, **options)


def test_a_file_is_fetched_once_and_counted(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(archive(server.url), tmp_path / "new", lambda *at: seen.append(at))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["data.tar"]
    fetch(archive(server.url), tmp_path / "new")
    assert server.starts == [0]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_cut_download_says_how_much_is_here_and_goes_on_there(
    server: Server, tmp_path: Path, size: int | None
) -> None:
    server.cut = 300_000
    asked = archive(server.url, size=size)
    with pytest.raises(
        DataError, match=r"ended after 300000 of 1280000.* 300 kB.* downloaded; .*resume"
    ):
        fetch(asked, tmp_path)
    assert not (tmp_path / "data.tar").exists()
    server.cut = None
    assert fetch(asked, tmp_path).read_bytes() == CONTENT
    assert server.starts == [0, 300_000]


def test_a_server_that_knows_no_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.cut = 300_000
    with pytest.raises(DataError):
        fetch(archive(server.url), tmp_path)
    server.cut, server.ranges = None, False
    assert fetch(archive(server.url), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".data.tar.part").write_bytes(b"x" * (len(CONTENT) + 5))
    assert fetch(archive(server.url), tmp_path).read_bytes() == CONTENT


def test_another_content_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data.tar is not the expected file: it has md5 .*, not ab"
    ):
        fetch(archive(server.url, digest="md5:ab"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data.tar").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"it has 1279999 bytes, not 1280000\. It is truncated"):
        verify(archive(), tmp_path / "data.tar")
    assert (tmp_path / "data.tar").exists()  # somebody put it there


def test_the_next_address_is_tried_and_all_are_named(server: Server, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9/data.tar"
    assert fetch(archive(dead, server.url), tmp_path / "a").read_bytes() == CONTENT
    with pytest.raises(
        DataError, match=r"could not be downloaded \(.*:9/data.tar.* 0 bytes of 1.3 MB"
    ):
        fetch(archive(dead), tmp_path / "b")


def test_a_full_disk_is_told_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 2 * len(CONTENT) - 1})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ConfigError, match=r"needs 2.6 MB of disk space, but .* has 2.6 MB left"):
        fetch(archive(server.url, gives=("data",)), tmp_path)
    assert list(tmp_path.iterdir()) == []
    fetch(archive(server.url), tmp_path)  # what is not unpacked needs its own size only


def tar(path: Path, names: list[str], mode: str = "w:gz") -> None:
    with tarfile.open(path, mode) as made:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            made.addfile(info, io.BytesIO(b"abc"))


def test_unpacking_is_all_or_nothing_and_leaves_what_is_there(tmp_path: Path) -> None:
    tar(tmp_path / "data.tar", ["images/a.jpg", "images/b.jpg", "list.txt"])
    (tmp_path / "home").mkdir()
    (tmp_path / "home/list.txt").write_text("mine")
    own = Archive("data.tar", into="home")
    unpack(own, tmp_path / "data.tar", tmp_path)
    assert sorted(p.name for p in (tmp_path / "home").rglob("*")) == [
        *("a.jpg", "b.jpg", "images", "list.txt")
    ]
    assert (tmp_path / "home/list.txt").read_text() == "mine"
    (tmp_path / "cut.tar").write_bytes((tmp_path / "data.tar").read_bytes()[:-60])
    with pytest.raises(DataError, match=r"cut.tar can't be unpacked .* Download it again"):
        unpack(Archive("cut.tar", into="other"), tmp_path / "cut.tar", tmp_path)
    assert list((tmp_path / "other").iterdir()) == []


def test_an_archive_can_not_write_elsewhere(tmp_path: Path) -> None:
    tar(tmp_path / "evil.tar", ["../outside.txt"])
    with pytest.raises(DataError, match=r"evil.tar can't be unpacked"):
        unpack(Archive("evil.tar", into="home"), tmp_path / "evil.tar", tmp_path)
    assert not (tmp_path / "outside.txt").exists()


def test_half_a_download_goes_once_the_file_is_there_by_other_means(tmp_path: Path) -> None:
    (tmp_path / ".data.tar.part").write_bytes(CONTENT[:1000])
    (tmp_path / "data.tar").write_bytes(CONTENT)
    fetch(archive(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["data.tar"]


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_a_killed_process_had_unpacked_is_removed(tmp_path: Path) -> None:
    tar(tmp_path / "data.tar", ["a.jpg"])
    left = tmp_path / "home" / f"{UNPACKING}killed"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"x")
    with locked_temporary(lambda: made(tmp_path / "home" / f"{UNPACKING}running")):
        unpack(Archive("data.tar", into="home"), tmp_path / "data.tar", tmp_path)
        assert {p.name for p in (tmp_path / "home").iterdir()} == {"a.jpg", f"{UNPACKING}running"}
