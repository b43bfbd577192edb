"""ImageNet's validation pictures: three layouts, one order of classes."""

from pathlib import Path

import official_layouts as make
import pytest

from explaindebug.core.errors import DataError
from explaindebug.data.official.imagenet import imagenet

ORDER = sorted(make.wnids())
SEEN = [ORDER[0], ORDER[7], ORDER[999], ORDER[7]]


def by_folder(root: Path, wnids: list[str]) -> None:
    for i, wnid in enumerate(wnids):
        make.picture(root / "val" / wnid / f"ILSVRC2012_val_{i + 1:08d}.JPEG", side=(9, 9))


def by_name(root: Path, wnids: list[str]) -> None:
    for i, wnid in enumerate(wnids):
        make.picture(root / f"{wnid}_{i}.JPEG", side=(9, 9))


def numbered(root: Path, wnids: list[str]) -> None:
    for i, _ in enumerate(wnids):
        make.picture(root / f"ILSVRC2012_val_{i + 1:08d}.JPEG", side=(9, 9))


def listed(root: Path) -> None:
    make.lines(root / "classes.txt", [f"{i} {wnid} thing" for i, wnid in enumerate(ORDER)])


def test_the_classes_are_torchvisions_in_its_order(tmp_path: Path) -> None:
    by_name(tmp_path, SEEN)
    listed(tmp_path)
    names = imagenet(tmp_path).classes
    assert len(set(names)) == 1000
    assert (names[0], names[151], names[999]) == ("tench", "Chihuahua", "toilet tissue")


@pytest.mark.parametrize("layout", [by_folder, by_name])
def test_of_some_classes_the_list_tells_the_labels(tmp_path: Path, layout) -> None:
    layout(tmp_path, SEEN)
    with pytest.raises(DataError, match=r"pictures of 3 classes, but no list of all 1,000, so"):
        imagenet(tmp_path)
    listed(tmp_path)
    assert sorted(p.label for p in imagenet(tmp_path).photos) == [0, 7, 7, 999]


def test_of_all_classes_the_folders_tell_the_labels(tmp_path: Path) -> None:
    by_folder(tmp_path, [])
    for wnid in make.wnids():
        (tmp_path / "val" / wnid).mkdir(parents=True)
        (tmp_path / "val" / wnid / "1.JPEG").touch()  # nothing is opened here
    found = imagenet(tmp_path / "val")
    assert [p.image.parent.name for p in sorted(found.photos, key=lambda p: p.label)] == ORDER


def test_the_development_kit_tells_the_labels_of_numbered_pictures(tmp_path: Path) -> None:
    numbered(tmp_path, SEEN)
    with pytest.raises(
        DataError, match=r"numbered pictures .*000001.JPEG.*ILSVRC2012_devkit_t12.t"
    ):
        imagenet(tmp_path)
    make.imagenet_devkit(tmp_path, SEEN)
    found = imagenet(tmp_path)
    assert [p.label for p in found.photos] == [0, 7, 999, 7]


def test_numbers_beyond_the_development_kits_are_refused(tmp_path: Path) -> None:
    numbered(tmp_path / "val", SEEN)
    make.imagenet_devkit(tmp_path, SEEN[:2])
    with pytest.raises(DataError, match=r"classes of 2 pictures, but 2 have .*_00000003.JPEG"):
        imagenet(tmp_path)


def test_lists_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    by_name(tmp_path, [*SEEN, "n99999999"])
    listed(tmp_path)
    with pytest.raises(DataError, match="are of n99999999, which are not among the 1,000"):
        imagenet(tmp_path)
    make.lines(tmp_path / "classes.txt", ORDER[:999])
    with pytest.raises(DataError, match=r"1,000; classes.txt has another number of them"):
        imagenet(tmp_path)


def test_what_is_not_there_is_told_with_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"has notes.txt. Expected .*val/n01440764/.*signing in"):
        imagenet(tmp_path)
    (tmp_path / "ILSVRC2012_img_val.tar").touch()
    with pytest.raises(DataError, match=r"img_val.tar is not unpacked: tar -xf it into .*/val"):
        imagenet(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        imagenet(tmp_path / "nowhere")


def test_the_real_sample(real_data: Path) -> None:
    """One picture of each of 381 classes, in one folder, with a list of all 1,000."""
    found = imagenet(real_data / "imagenet_sample")
    rows = (real_data / "imagenet_sample/classes.txt").read_text().splitlines()
    number = {wnid: int(i) for i, wnid, *_ in map(str.split, rows)}
    assert len(found.photos) == 381
    assert all(p.label == number[p.image.name[:9]] for p in found.photos)
    labels = {p.image.name: p.label for p in found.photos}
    assert found.classes[labels["n02093754_Border_terrier.jpg"]] == "Border terrier"
