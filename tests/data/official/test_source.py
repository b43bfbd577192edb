"""How a data set comes to the root: unpacked where its archive lies there, fetched where asked."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from explaindebug.core.errors import DataError
from explaindebug.data.download import Archive
from explaindebug.data.official import Source


def packed(path: Path, *names: str) -> Archive:
    """An archive on disk, with an address that a machine without a network can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as made:
        for name in names:
            info = tarfile.TarInfo(name)
            made.addfile(info, io.BytesIO())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    return Archive(path.name, (path.as_uri(),), f"sha256:{digest}", size, "zoo", (names[0][:6],))


@pytest.fixture
def zoo(tmp_path: Path) -> Source:
    archives = tuple(
        packed(tmp_path / "far" / name, *files)
        for name, files in (("a.tar", ["images/1.jpg"]), ("b.tar", ["masks1/1.png"]))
    )
    return Source("Zoo", "http://zoo", ("zoo", "."), ("images", "masks1"), archives)


def test_it_is_fetched_only_where_asked(tmp_path: Path, zoo: Source) -> None:
    root = tmp_path / "data"
    zoo.prepare(root, download=False)
    assert not root.exists()
    zoo.prepare(root, download=True)
    assert zoo.home(root) == root / "zoo"
    assert (root / "zoo/masks1/1.png").is_file()


def test_an_archive_that_lies_there_is_checked_and_unpacked(tmp_path: Path, zoo: Source) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name in ("a.tar", "b.tar"):
        (tmp_path / "far" / name).rename(root / name)
    zoo.prepare(root, download=False)
    assert zoo.home(root) == root / "zoo"


def test_a_truncated_archive_is_told_before_it_is_unpacked(tmp_path: Path, zoo: Source) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "a.tar").write_bytes((tmp_path / "far/a.tar").read_bytes()[:700])
    with pytest.raises(
        DataError, match=r"a.tar is not the expected file: it has 700 bytes, not 102"
    ):
        zoo.prepare(root, download=True)
    assert [p.name for p in root.rglob("*") if p.is_file()] == ["a.tar"]


def test_only_what_lacks_is_fetched(tmp_path: Path, zoo: Source) -> None:
    root = tmp_path / "data"
    (root / "zoo/images").mkdir(parents=True)
    zoo.prepare(root, download=True)
    assert not (root / "zoo/a.tar").exists()
    assert (root / "zoo/masks1").is_dir()


def test_what_to_do_names_archives_folder_page_and_size(tmp_path: Path, zoo: Source) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(
        DataError,
        match=r"^Zoo is not in .*data: images, masks1 should be there, or below it in zoo; there "
        r"is nothing\. Set data.root .*download=true to download it \(20.5 kB\); or put a.tar, "
        r"b.tar from http://zoo into .*data/zoo\.$",
    ):
        zoo.home(tmp_path / "data")


def test_what_nobody_can_fetch_is_not_offered(tmp_path: Path) -> None:
    archive = Archive("a.tar", (), "md5:0", 10, "zoo", ("images",))
    source = Source("Zoo", "http://zoo", ("zoo",), ("images",), (archive,))
    source.prepare(tmp_path, download=True)
    with pytest.raises(DataError) as e:
        source.home(tmp_path)
    assert "download" not in str(e.value)
    assert "put a.tar" in str(e.value)


def test_files_that_are_no_archive_are_fetched_and_left_as_they_are(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    archives = []
    for name in ("a.txt", "b.txt"):
        (far / name).write_text(name)
        archives.append(Archive(name, ((far / name).as_uri(),), size=5, into="lists"))
    source = Source("Lists", "http://l", ("lists", "."), ("a.txt", "b.txt"), tuple(archives))
    root = tmp_path / "data"
    (root / "lists").mkdir(parents=True)
    (root / "lists/a.txt").write_text("a list of one's own")
    source.prepare(root, download=True)
    assert [p.read_text() for p in sorted((root / "lists").iterdir())] == [
        *("a list of one's own", "b.txt")
    ]


def test_half_a_download_of_what_is_there_is_removed(tmp_path: Path, zoo: Source) -> None:
    zoo.prepare(tmp_path, download=True)
    other = tmp_path / "zoo/.other.tar.part"  # of another data set: it may go on
    for half in (tmp_path / "zoo/.a.tar.part", other):
        half.touch()
    zoo.prepare(tmp_path, download=False)
    assert [path for path in (tmp_path / "zoo").iterdir() if path.suffix == ".part"] == [other]
