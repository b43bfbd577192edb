"""idx files: what is in them comes out; what is wrong with them is named."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.data import memory
from explaindebug.data.idx import idx
from explaindebug.data.idxfiles import idx_files, load_idx, read_idx

CLASSES = tuple("abc")


def packed(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write(folder, stem, count, *, pack=True, labels=None, side=28):
    """Pictures whose top left pixel is their number, and labels 0, 1, 2, 0, ...

    The next pixel tells the files apart: no picture may be in two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = np.zeros((count, side, side), np.uint8)
    images[:, 8:20, 8:20] = 200
    images[:, 0, 0] = np.arange(count)
    images[:, 0, 1] = len(stem)
    labels = np.arange(count, dtype=np.uint8) % 3 if labels is None else labels
    for name, array in ((f"{stem}-images-idx3", images), (f"{stem}-labels-idx1", labels)):
        content = packed(array)
        path = folder / (f"{name}-ubyte.gz" if pack else f"{name}-ubyte")
        path.write_bytes(gzip.compress(content) if pack else content)
    return images, labels


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "train", 24)
    write(tmp_path, "t10k", 9, pack=False)
    return tmp_path


def test_pictures_keep_their_labels_and_splits_are_disjoint(root):
    splits = idx(root, CLASSES, val=6)
    assert [len(part) for part in splits] == [18, 6, 9]
    for part in splits:
        numbers = part.pixels[:, 0, 0, 0]
        assert part.labels.tolist() == (numbers % 3).tolist()
        assert len(np.unique(numbers)) == len(part)
    fit = np.concatenate([part.pixels[:, 0, 0, 0] for part in splits[:2]])
    assert sorted(fit.tolist()) == list(range(24))
    assert idx(root, CLASSES, val=6).train.fingerprint() == splits.train.fingerprint()
    assert idx(root, CLASSES, val=6, seed=1).train.fingerprint() != splits.train.fingerprint()


def test_counts_choose_from_the_right_files(root):
    splits = idx(root, CLASSES, train=9, val=3, test=6)
    assert [np.bincount(part.labels).tolist() for part in splits] == [[3] * 3, [1] * 3, [2] * 3]
    with pytest.raises(
        DataError, match=r"too few pictures: 20 requested \(test 20\), but there are 9"
    ):
        idx(root, CLASSES, val=6, test=20)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (28, 3), (14, 1), (56, 3)])
def test_masks_follow_the_picture_at_any_size_and_scenes_are_black(root, size, channels):
    part = idx(root, CLASSES, val=6, size=size, channels=channels).train
    assert part.size == (channels, size, size)
    expected = np.zeros((28, 28), bool)
    expected[8:20, 8:20] = True
    middle = part.masks[0][size // 4 : -size // 4, size // 4 : -size // 4]
    assert abs(part.masks[0].mean() - expected.mean()) < 0.04
    assert middle.mean() > part.masks[0].mean()
    assert part.scenes.shape == part.pixels.shape
    assert not part.scenes.any()
    assert part.masked_batch([0, 1]).image.shape == (2, channels, size, size)


def test_three_channels_are_the_same_and_cost_no_memory(root):
    part = idx(root, CLASSES, val=6, channels=3).train
    assert np.array_equal(part.pixels[..., 0], part.pixels[..., 2])
    assert part.pixels.strides[-1] == 0
    with pytest.raises(ConfigError, match="channels=2"):
        idx(root, CLASSES, channels=2)


@pytest.mark.parametrize("folder", ["raw", "MNIST/raw"])
def test_the_first_folder_that_has_files_is_taken(tmp_path, folder):
    write(tmp_path / folder, "train", 24)
    write(tmp_path / folder, "t10k", 9)
    assert len(idx(tmp_path, CLASSES, val=6, folders=(".", "raw", "MNIST/raw")).test) == 9


def parts(folder, sizes):
    images, labels = write(folder, "train", 24, pack=False)
    (folder / "train-images-idx3-ubyte").unlink()
    for number, size in sizes.items():
        name = f"train-images-part{number}-of3-idx3-ubyte.gz"
        (folder / name).write_bytes(gzip.compress(packed(images[8 * number :][:size])))
    return labels


def test_first_parts_use_the_first_labels(tmp_path):
    labels = parts(tmp_path, {0: 8, 1: 8})
    images, found = load_idx([tmp_path], "train")
    assert images[:, 0, 0].tolist() == list(range(16))
    assert found.tolist() == labels[:16].tolist()


def test_a_gap_between_parts_is_refused(tmp_path):
    parts(tmp_path, {0: 8, 2: 8})
    with pytest.raises(DataError, match="has parts 0, 2 of 3"):
        load_idx([tmp_path], "train")


@pytest.mark.parametrize("numbers", [{0: 8, 1: 8, 2: 7}, {0: 24, 1: 8}])
def test_parts_that_dont_fit_the_labels_are_refused(tmp_path, numbers):
    parts(tmp_path, numbers)
    with pytest.raises(DataError, match=r"pictures, but 24 labels in .*train-labels-idx1-ubyte"):
        load_idx([tmp_path], "train")


def test_files_of_different_counts_are_named(root):
    write(root / "other", "train", 20)
    (root / "other/train-labels-idx1-ubyte.gz").rename(root / "train-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: 24 pictures, but 20 labels"):
        idx(root, CLASSES)


def test_a_picture_is_in_one_file_once_and_under_one_label(tmp_path):
    train, _ = write(tmp_path, "train", 24)
    test, labels = write(tmp_path, "t10k", 9)
    test[0] = train[3]  # also to train on
    test[1] = test[4]  # twice, with the same label
    test[2] = train[4]  # with another label
    for name, array in (("images-idx3", test), ("labels-idx1", labels)):
        (tmp_path / f"t10k-{name}-ubyte.gz").write_bytes(gzip.compress(packed(array)))
    with pytest.warns(DataWarning, match="4 of 33 pictures are left out"):
        splits = idx(tmp_path, CLASSES, train=None, val=3)
    assert len(splits.test) == 9 - 2
    assert len(splits.train) + len(splits.val) == 24 - 2
    everything = np.concatenate([part.pixels for part in splits])
    assert len({picture.tobytes() for picture in everything}) == len(everything)


def test_a_file_unpacks_to_no_more_than_it_promises(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 28, 28))
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"2 x 28 x 28 bytes, but holds more than"):
        read_idx(path, 3)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_file_that_promises_more_than_there_is_memory_is_refused(root, monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 10_000)
    with pytest.raises(DataError, match=r"24 x 28 x 28 bytes, would take 18.8 kB .* 10.0 kB in"):
        read_idx(root / "train-images-idx3-ubyte.gz", 3)


def test_labels_outside_the_classes_are_refused(tmp_path):
    write(tmp_path, "train", 24, labels=np.full(24, 3, np.uint8))
    with pytest.raises(DataError, match="labels range from 3 to 3, but there are 3 classes"):
        idx(tmp_path, CLASSES)


def test_missing_files_say_where_they_were_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte.*in any of .*raw.*download"):
        idx(tmp_path, CLASSES)
    with pytest.raises(DataError, match=r"there is no x-idx1-ubyte"):
        idx_files([tmp_path / "nowhere"], "x", 1)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda c: c[:-100], "should hold 24 x 28 x 28 bytes, but holds 18716"),
        (lambda c: c + b"\0", "but holds 18817"),
        (lambda c: b"\0\0\x08\x01" + c[4:], "starts with 00 00 08 01, not with 00 00 08 03"),
        (lambda c: b"", "starts with nothing"),
        (lambda c: c[:10], "starts with 00 00 08 03"),
    ],
)
def test_a_damaged_file_is_named(root, damage, says):
    path = root / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(damage(content)))
    with pytest.raises(DataError, match=rf"train-images-idx3-ubyte.gz .*{says}"):
        read_idx(path, 3)


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-20], lambda c: b"no gzip", lambda c: c[:99] + b"x" * 99]
)
def test_a_damaged_archive_is_named(root, damage):
    path = root / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz can't be read"):
        read_idx(path, 3)


@pytest.mark.parametrize(("name", "train"), [("mnist", 60000), ("fashion_mnist", 20000)])
def test_real_files(real_data, name, train):
    splits = idx(real_data / name, "0123456789", test=1000)
    assert len(splits.train) + len(splits.val) == train
    assert np.bincount(splits.test.labels).min() > 80
    assert 0.1 < splits.test.masks.mean() < 0.6
