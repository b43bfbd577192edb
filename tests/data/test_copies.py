"""One picture is there once: links and equal bytes are found, and no file is read in vain."""

from pathlib import Path

import pytest

from explaindebug.core.errors import DataError, DataWarning
from explaindebug.data import copies as module
from explaindebug.data.copies import copies, once
from explaindebug.data.masks import MaskFile
from explaindebug.data.photos import Photo, distinct


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Five files: b a copy of a, c a symbolic, e a hard link to d; f of equal size and end."""
    found = [tmp_path / name for name in "abcdef"]
    content = b"x" * 1000
    for i in (0, 1):
        found[i].write_bytes(b"0" + content)
    found[3].write_bytes(b"12" + content)
    found[2].symlink_to(found[3])
    found[4].hardlink_to(found[3])
    found[5].write_bytes(b"2" + content)
    return found


def test_links_and_equal_bytes_are_copies(paths: list[Path]) -> None:
    assert copies(paths) == [[0, 1], [2, 3, 4]]
    assert copies([*paths, paths[5], paths[0].with_name("gone")]) == [[0, 1], [2, 3, 4], [5, 6]]


def test_only_files_of_one_size_and_end_are_read(paths: list[Path], monkeypatch) -> None:
    read: list[str] = []
    digest = module._digest
    monkeypatch.setattr(module, "_digest", lambda path: read.append(path.name) or digest(path))
    paths[5].write_bytes(b"2" + b"y" * 1000)
    copies(paths)
    assert read == ["a", "b"]


def test_the_first_is_kept_and_the_others_are_said(paths: list[Path]) -> None:
    with pytest.warns(DataWarning, match=r"^3 scenes left out, .* copies .*b of .*a; .*d of .*c; "):
        assert once(paths, "scenes") == [paths[i] for i in (0, 2, 5)]
    assert once(paths[::5], "scenes") == paths[::5]


def test_a_picture_of_two_classes_is_refused_but_left_out_of_a_published_set(
    paths: list[Path],
) -> None:
    found = [Photo(path, None, i % 2) for i, path in enumerate(paths)]
    with pytest.raises(DataError, match=r"a of class 'cat' and .*b of class 'dog' are the same"):
        distinct(found, ("cat", "dog"))
    with pytest.warns(DataWarning, match="5 of 6 pictures left out"):
        assert distinct(found, ("cat", "dog"), published=True) == found[5:]


def test_of_copies_that_is_kept_which_is_held_out(paths: list[Path]) -> None:
    found = [Photo(path, MaskFile(path), 0, held_out=path.name in "bd") for path in paths]
    with pytest.warns(DataWarning, match="3 of 6"):
        assert distinct(found, ("cat",)) == [found[i] for i in (1, 3, 5)]
