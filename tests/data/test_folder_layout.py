"""Patterns: which picture has which mask, and what is said when there is none."""

import glob
from pathlib import Path

import pytest
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.data.folder_layout import ClassFiles, find, fixed_part


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("birds/images/**/*.jpg", "birds/images"),
        ("birds/images/*.jpg", "birds/images"),
        ("*/images/*.jpg", ""),
        ("birds/[a-z]*/x.jpg", "birds"),
        ("one.jpg", ""),
    ],
)
def test_the_fixed_part_ends_at_the_first_wildcard(pattern, expected):
    assert fixed_part(Path("root"), pattern) == Path("root") / expected


def test_masks_are_matched_by_path_below_the_fixed_part(photo_root):
    for pattern in ("bird/masks/**/*.png", "bird/masks/*/*"):
        pairs = ClassFiles("bird/images/**/*", pattern).pairs(photo_root, "bird")
        assert len(pairs) == 12
        for image, mask in pairs:
            assert mask == photo_root / "bird/masks/x" / image.name
    assert pairs == sorted(pairs)


def test_the_same_name_in_two_folders_is_two_pictures(photo_root):
    (photo_root / "bird/images/x").rename(photo_root / "bird/images/y")
    with pytest.raises(DataError, match="12 of 12 pictures of class 'bird' have no mask"):
        ClassFiles("bird/images/**/*", "bird/masks/**/*.png").pairs(photo_root, "bird")


def test_pictures_without_mask_are_counted_and_named(photo_root):
    for i in (3, 5):
        (photo_root / f"bird/masks/x/00{i}.png").unlink()
    with pytest.raises(
        DataError, match=r"2 of 12 pictures of class 'bird' have no mask: .*003.png, .*005.png"
    ) as error:
        ClassFiles("bird/images/**/*", "bird/masks/**/*.png").pairs(photo_root, "bird")
    assert "bird/masks/x/003" in str(error.value)


def test_two_masks_for_one_picture_are_refused(photo_root):
    Image.new("1", (40, 40)).save(photo_root / "bird/masks/x/003.bmp")
    with pytest.raises(DataError, match=r"two masks for one picture: .*003.bmp and .*003.png"):
        ClassFiles("bird/images/**/*", "bird/masks/**/*").pairs(photo_root, "bird")


def test_hidden_files_and_other_kinds_are_left_out(photo_root):
    (photo_root / "bird/images/x/._000.png").write_bytes(b"junk")
    (photo_root / "bird/images/x/Thumbs.db").write_bytes(b"junk")
    assert len(find(photo_root, "bird/images/**/*", "pictures")) == 12
    (photo_root / "bird/images/x/notes.txt").write_text("junk")
    with pytest.warns(DataWarning, match=r"matches 12 .*Left out: 1 that .*notes.txt"):
        assert len(find(photo_root, "bird/images/**/*", "pictures")) == 12


def test_a_root_with_special_characters_is_taken_literally(photo_root):
    odd = photo_root / "data [1]*"
    odd.mkdir()
    (photo_root / "bird").rename(odd / "bird")
    assert len(find(odd, "bird/images/**/*.png", "pictures")) == 12


def test_a_wrong_root_or_pattern_says_what_was_looked_for_and_what_is_there(photo_root):
    with pytest.raises(DataError, match=r"no folder .*nowhere.*'bird/\*'"):
        find(photo_root / "nowhere", "bird/*", "pictures")
    with pytest.raises(
        DataError, match=r"no pictures: .* matches 'bird/pics/\*.png'.*contains: images/, masks/"
    ):
        find(photo_root, "bird/pics/*.png", "pictures")
    (photo_root / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty is empty"):
        find(photo_root, "empty/*", "pictures")


def test_an_extension_matches_in_capitals_but_a_name_does_not(photo_root):
    for name in ("000", "001"):
        (photo_root / f"bird/images/x/{name}.png").rename(photo_root / f"bird/images/x/{name}.PNG")
    (photo_root / "bird/images/x/002.png").rename(photo_root / "bird/images/x/A02.png")
    assert len(find(photo_root, "bird/images/**/*.png", "pictures")) == 12
    assert len(find(photo_root, "bird/images/x/[0-9a-z]*.png", "pictures")) == 11


def test_pictures_with_another_extension_are_said_unless_they_are_the_masks(photo_root):
    folder = photo_root / "bird/images/x"
    Image.new("L", (40, 40)).save(folder / "000.jpeg")
    with pytest.warns(DataWarning, match=r"12 in .* 1 pictures with another extension .*0.jpeg"):
        find(photo_root, "bird/images/x/*.png", "pictures")
    for i in range(1, 12):
        Image.new("L", (40, 40)).save(folder / f"{i:03d}.jpeg")
    files = ClassFiles("bird/images/x/*.jpeg", "bird/images/x/*.png")
    assert len(files.pairs(photo_root, "bird")) == 12


def test_kinds_that_can_not_be_read_are_said_where_nothing_else_is_there(photo_root):
    for path in (photo_root / "bird/images/x").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(DataError, match=r"no pictures.* There are 12 that are not pictures .*heic"):
        find(photo_root, "bird/images/**/*", "pictures")


@pytest.mark.parametrize("pattern", ["bird/images/x/*.png", "bird/images/**/*.png", "*/*/x/*.png"])
@pytest.mark.parametrize("link", ["bird/images/x/000.png", "bird/images/x"])
def test_links_to_nothing_are_refused(photo_root, pattern, link):
    (photo_root / link).rename(photo_root / "elsewhere")
    (photo_root / link).symlink_to(photo_root / "gone")
    Image.new("L", (40, 40)).save(photo_root / "bird/images/another.png")
    with pytest.raises(DataError, match=rf"broken links: .*{link}"):
        find(photo_root, pattern, "pictures")


def test_a_folder_that_can_not_be_read_is_refused(photo_root, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: path.name != "x")
    with pytest.raises(DataError, match=r"can't be read: .*images/x"):
        find(photo_root, "bird/images/**/*.png", "pictures")


def test_a_file_that_matches_in_two_ways_is_there_once(photo_root):
    (photo_root / "bird/images/x/x").mkdir()
    for pattern in ("bird/**/x/**/*.png", "**/bird/**/*.png"):
        found = find(photo_root, pattern, "pictures")
        assert len(found) == len(set(found)) == 24


@pytest.mark.parametrize("name", ["a [1]", "[a]", "a*", "a?", "[[]"])
def test_names_with_special_characters_may_be_written_plainly_or_escaped(photo_root, name):
    (photo_root / "bird").rename(photo_root / name)
    for written in (name, glob.escape(name)):
        files = ClassFiles(f"{written}/images/**/*", f"{written}/masks/**/*")
        assert len(files.pairs(photo_root, name)) == 12
        assert fixed_part(photo_root, files.images) == photo_root / name / "images"


def test_two_pictures_for_one_mask_are_refused(photo_root):
    Image.new("RGB", (40, 40)).save(photo_root / "bird/images/x/003.bmp")
    with pytest.raises(DataError, match=r"two pictures of one name.* .*003.bmp and .*003.png"):
        ClassFiles("bird/images/**/*", "bird/masks/**/*").pairs(photo_root, "bird")


def test_options_are_checked_by_name():
    assert ClassFiles.of("bird", "a/*.jpg") == ClassFiles("a/*.jpg")
    with pytest.raises(ConfigError, match=r"unknown option 'mask'. Did you mean 'masks'"):
        ClassFiles.of("bird", {"images": "a", "mask": "b"})
    with pytest.raises(
        ConfigError, match=r"unknown mask convention 'trimaps'. Did you mean 'trimap'"
    ):
        ClassFiles.of("bird", {"images": "a", "convention": "trimaps"})
    with pytest.raises(ConfigError, match="class 'bird' needs an `images` pattern"):
        ClassFiles.of("bird", {"masks": "b"})
