"""The authors' split lists: followed to the letter, refused where they name what is not there."""

from pathlib import Path

import official_layouts as make
import pytest

from explaindebug.core.errors import DataError
from explaindebug.data.official import cub, pets
from explaindebug.data.official.split_lists import LISTS, SIZES, by_lists, there
from explaindebug.data.photos import Photo

LABELS = {"birds": 0, "dogs": 1}


def photos(root: Path, edition: str = "2010") -> list[Photo]:
    found = cub.cub_2010(root) if edition == "2010" else cub.cub_2011(root)
    dogs = [Photo(p.image, p.mask, 1) for p in pets.dogs(root).photos]
    return [Photo(p.image, p.mask, 0) for p in found.photos] + dogs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make.cub_2010(tmp_path)
    make.pets(tmp_path)
    make.split_lists(tmp_path)
    return tmp_path


def test_every_split_has_just_the_files_that_its_lists_name(root: Path) -> None:
    assert there(root)
    parts = by_lists(root, photos(root), LABELS)
    for split, part in zip(("train", "val", "test"), parts, strict=True):
        for word, label in LABELS.items():
            named = (root / f"split_lists/{word}_{split}_list.txt").read_text().split()
            assert [p.image.name for p in part if p.label == label] == named


def test_lists_may_lie_in_the_root_itself(root: Path) -> None:
    for path in (root / "split_lists").iterdir():
        path.rename(root / path.name)
    assert there(root)
    assert [len(part) for part in by_lists(root, photos(root), LABELS)] == [16, 8, 8]


def test_absent_files_are_counted_and_the_first_named(root: Path) -> None:
    """The authors' birds are those of 2010: none of their names is one of 2011."""
    make.cub_2011(root)
    with pytest.raises(
        DataError,
        match=r"8 of 8 files .*birds_train_list.txt are missing: Black_footed_Albatross"
        r"_0000_2134386992.jpg, .* and 5 more; there are 16 .*data.birds=cub_200",
    ):
        by_lists(root, photos(root, "2011"), LABELS)


def test_a_file_in_two_lists_is_refused(root: Path) -> None:
    lists = root / "split_lists"
    name = (lists / "dogs_train_list.txt").read_text().split()[0]
    with (lists / "dogs_test_list.txt").open("a") as file:
        file.write(f"{name}\n")
    with pytest.raises(DataError, match=rf"name 1 files twice: {name}"):
        by_lists(root, photos(root), LABELS)


def test_missing_lists_are_named(root: Path) -> None:
    (root / "split_lists/dogs_val_list.txt").unlink()
    assert not there(root)
    with pytest.raises(DataError, match=r"is not complete: it lacks dogs_val_list.txt.*github.com"):
        by_lists(root, photos(root), LABELS)


def test_the_lists_come_from_one_commit_and_are_known_by_their_size() -> None:
    for archive in LISTS.archives:
        assert "/98f3b211c97c1bbbaec4d12cc8c102ecbbc1afe7/" in archive.urls[0]
        assert archive.size == SIZES[archive.name]
