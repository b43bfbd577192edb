"""Photographs from folders: aligned with masks, split the same way, refused before training."""

import shutil

import numpy as np
import pytest
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.data.image_files import ORIENTATION, turned
from explaindebug.data.masks import MaskFile
from explaindebug.data.photos import Photo, photos


@pytest.mark.parametrize("size", [16, 40, 64])
def test_masks_lie_where_the_objects_are(photo_root, layout, size):
    splits = photos(layout(), root=photo_root, size=size, train=0.5, val=0.25, test=0.25)
    assert [len(part) for part in splits] == [10, 5, 5]
    for part in splits:
        assert part.size == (3, size, size)
        for pixels, mask, label in zip(part.pixels, part.masks, part.labels, strict=True):
            strongest = pixels[..., 2 if label else 0] > 175  # the box, half mixed at its edge
            differ = np.mean(strongest != mask)
            assert differ < 0.05
            assert mask.mean() == pytest.approx((13 / 40) ** 2, abs=0.03)


def test_the_split_depends_on_files_and_seed_alone(photo_root, layout):
    def files(**options):
        found = photos(layout(), root=photo_root, train=12, val=4, test=4, **options)
        return [part.masks.mean((1, 2)).argsort().tolist() for part in found], found

    (_, first), (_, again), (_, other) = files(size=40), files(size=40), files(size=40, seed=1)
    assert first.train.fingerprint() == again.train.fingerprint()
    assert first.train.fingerprint() != other.train.fingerprint()
    assert files(size=80)[1].test.labels.tolist() == first.test.labels.tolist()


def test_the_same_pictures_are_in_a_split_at_any_size(photo_root, layout):
    for i, path in enumerate(sorted(photo_root.glob("*/images/x/*"))):
        Image.new("RGB", (40, 40), (i, i, i)).save(path)  # a picture's grey level is its number
    small, large = (photos(layout(), root=photo_root, size=size) for size in (8, 32))
    for a, b in zip(small, large, strict=True):
        assert a.pixels[:, 0, 0, 0].tolist() == b.pixels[:, 0, 0, 0].tolist()
    numbers = np.concatenate([part.pixels[:, 0, 0, 0] for part in small])
    assert len(set(numbers.tolist())) == len(numbers)


def test_classes_can_be_balanced_and_limited(photo_root, layout):
    balanced = photos(layout(), root=photo_root, size=8, balance=True, train=8, val=4, test=4)
    assert [np.bincount(part.labels).tolist() for part in balanced] == [[4, 4], [2, 2], [2, 2]]
    limited = photos(layout(), root=photo_root, size=8, limit=3, train=2, val=2, test=2)
    assert sum(np.bincount(part.labels) for part in limited).tolist() == [3, 3]


def test_masks_are_optional_but_for_all_classes_or_none(photo_root, layout):
    bare = {name: files["images"] for name, files in layout().items()}
    assert photos(bare, root=photo_root, size=8).train.masks is None
    with pytest.raises(ConfigError, match="class bird has no masks"):
        photos({**layout(), "bird": bare["bird"]}, root=photo_root)
    with pytest.raises(ConfigError, match="at least two classes"):
        photos({"bird": layout()["bird"]}, root=photo_root)


def test_progress_counts_to_the_end(photo_root, layout):
    seen = []
    photos(
        layout(), root=photo_root, size=8, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(i + 1, 20) for i in range(20)]


@pytest.mark.parametrize("content", [b"", b"no picture", "truncated"])
def test_a_corrupt_file_is_named(photo_root, layout, content):
    path = photo_root / "dog/images/x/004.png"
    path.write_bytes(path.read_bytes()[:900] if content == "truncated" else content)
    with pytest.raises(DataError, match=r"dog/images/x/004.png can't be read as a picture"):
        photos(layout(), root=photo_root, size=8)


def test_a_mask_of_another_size_is_named_with_both_sizes(photo_root, layout):
    path = photo_root / "bird/masks/x/007.png"
    Image.open(path).resize((30, 20)).save(path)
    with pytest.raises(
        DataError, match=r"masks/x/007.png is 30 x 20 .*images/x/007.png is 40 x 40"
    ):
        photos(layout(), root=photo_root, size=8)


def test_too_few_pictures_and_tiny_sizes_are_refused_before_reading(photo_root, layout):
    (photo_root / "bird/images/x/000.png").write_bytes(b"never read")
    with pytest.raises(DataError, match=r"100 requested .*20 \(12 bird, 8 dog\)"):
        photos(layout(), root=photo_root, train=80, val=10, test=10)
    with pytest.raises(ConfigError, match="size=4"):
        photos(layout(), root=photo_root, size=4)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("P", "png"), ("CMYK", "jpg")]
)
def test_colour_modes_become_three_channels(photo_root, layout, mode, suffix):
    path = photo_root / "bird/images/x/000.png"
    picture = Image.open(path).convert(mode)
    path.unlink()
    picture.save(path.with_suffix(f".{suffix}"))
    assert photos(
        layout(), root=photo_root, size=8, train=1.0 - 4 / 20, val=2, test=2
    ).train.size == (3, 8, 8)


def test_masks_that_mark_everything_are_suspected(photo_root, layout):
    for path in (photo_root / "dog/masks/x").iterdir():
        Image.new("L", (40, 40), 3).save(path)
    with pytest.raises(
        DataError, match=r"all masks of a class mark everything .*dog/masks/x/.*'binary'"
    ):
        photos(layout(), root=photo_root, size=8)
    Image.open(photo_root / "bird/masks/x/000.png").save(path)  # one with a background is enough
    assert photos(layout(), root=photo_root, size=8).train.masks is not None


def oriented(path, pixels, turn):
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    Image.fromarray(pixels).save(path, exif=exif)


WIDE = np.zeros((24, 48), np.uint8)
WIDE[3:9, 6:18] = 255
SQUARE = WIDE[:, :24]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("drawn_on", ["seen", "stored", "turned"])
def test_a_mask_lies_on_its_turned_picture_or_is_refused(tmp_path, turn, drawn_on):
    for array, told in ((WIDE, turn >= 5 or turn == 1), (SQUARE, turn == 1)):
        oriented(tmp_path / "x.png", array, turn)
        mask = {"seen": turned(array, turn), "stored": array, "turned": array}[drawn_on]
        oriented(tmp_path / "m.png", np.array(mask), turn if drawn_on == "turned" else 1)
        photo = Photo(tmp_path / "x.png", MaskFile(tmp_path / "m.png"), 0)
        if told or drawn_on == "turned":
            pixels, found = photo.read(24)
            assert np.array_equal(found, pixels[..., 0] > 127)
            if drawn_on != "seen":
                pixels, found = photo.read(24, upright=False)
                assert np.array_equal(found, pixels[..., 0] > 127)
        else:
            with pytest.raises(DataError, match=rf"x.png and .*m.png .* \({turn} and 1\)"):
                photo.read(24)


def test_what_was_decided_is_said_once_for_all_files(photo_root, layout):
    for path in (photo_root / "dog/masks/x").iterdir():
        Image.open(path).convert("L").save(path.with_suffix(".jpg"))
        path.unlink()
    files = layout()
    files["dog"]["masks"] = "dog/masks/**/*.jpg"
    with pytest.warns(DataWarning, match="8 of 20 masks have levels between") as said:
        photos(files, root=photo_root, size=8)
    assert len(said) == 1


def test_copies_and_pictures_of_two_classes(photo_root, layout):
    shutil.copy(photo_root / "bird/images/x/000.png", photo_root / "bird/images/x/100.png")
    shutil.copy(photo_root / "bird/masks/x/000.png", photo_root / "bird/masks/x/100.png")
    with pytest.warns(DataWarning, match=r"1 of 21 pictures left out, .* copies.*100.png of .*000"):
        splits = photos(layout(), root=photo_root, size=40)
    everything = [picture.tobytes() for part in splits for picture in part.pixels]
    assert len(set(everything)) == len(everything) == 20
    both = layout()
    both["dog"]["images"] = "bird/images/**/*"
    both["dog"]["masks"] = "bird/masks/**/*"
    with pytest.raises(DataError, match="are the same picture, which can't belong to both"):
        photos(both, root=photo_root, size=40)


def test_masks_without_a_picture_are_said_unless_another_class_has_it(photo_root, layout):
    (photo_root / "bird/images/x/003.png").unlink()
    with pytest.warns(DataWarning, match=r"1 masks are not used, .*bird/masks/x/003.png"):
        photos(layout(), root=photo_root, size=8, val=2, test=2)
    Image.new("RGB", (40, 40)).save(photo_root / "bird/images/x/003.png")
    (photo_root / "masks").mkdir()
    files = {}
    for name in ("bird", "dog"):
        (photo_root / name / "images/x").rename(photo_root / name / "images" / name)
        (photo_root / name / "masks/x").rename(photo_root / "masks" / name)
        files[name] = {"images": f"{name}/images/**/*", "masks": "masks/**/*"}
    assert len(photos(files, root=photo_root, size=8).train) == 14


def test_real_photographs_with_masks(real_data):
    animals = {
        name: {"images": f"pets227/{name}/images/*.jpg", "masks": f"pets227/{name}/masks/*.png"}
        for name in ("cats", "dogs")
    }
    splits = photos(animals, root=real_data, size=64, train=0.6, val=0.2, test=0.2)
    assert [len(part) for part in splits] == [222, 74, 74]
    assert np.bincount(splits.test.labels).tolist() == [24, 50]
    areas = splits.train.masks.mean((1, 2))
    assert 0.2 < areas.mean() < 0.7
