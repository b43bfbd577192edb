"""MNIST, Fashion-MNIST, KMNIST: found in any usual layout, fetched only where asked."""

import hashlib
import shutil
import struct

import numpy as np
import pytest
import torchvision

from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import DataError
from explaindebug.datamodules import KMNIST, MNIST, FashionMNIST


def write(folder, fill=200):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, n in (("train", 100), ("t10k", 20)):
        images = np.zeros((n, 28, 28), np.uint8)
        images[:, 8:20, 8:20] = fill
        images[:, 0, 0] = np.arange(n) % 25  # no picture twice, none in both files
        images[:, 0, 1] = np.arange(n) // 25 + 10 * (stem == "train")
        for name, a in (("images-idx3", images), ("labels-idx1", (np.arange(n) % 10).astype("u1"))):
            head = bytes([0, 0, 8, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
            (folder / f"{stem}-{name}-ubyte").write_bytes(head + a.tobytes())


@pytest.mark.parametrize("layout", [".", "raw", "{name}/raw", "{name}"])
def test_all_are_found_in_torchvisions_layout_and_do_not_mix(tmp_path, layout):
    for cls, fill in ((MNIST, 100), (FashionMNIST, 200), (KMNIST, 150)):
        if "{name}" not in layout and cls is not MNIST:
            continue
        write(tmp_path / layout.format(name=cls.dataset), fill)
        module = cls(root=tmp_path)
        assert [len(part) for part in module.clean] == [90, 10, 20]
        assert module.clean.train.pixels.max() == fill
        assert len(module.classes) == 10


def test_probe_batches_know_masks_and_black_scenes(tmp_path):
    write(tmp_path)
    (batch,) = MNIST(root=tmp_path, size=32, channels=3).probe_dataloader(20)
    assert batch.image.shape == (20, 3, 32, 32)
    assert batch.signal.float().mean() == pytest.approx(1 - (12 / 28) ** 2, abs=0.05)
    assert batch.scene.unique().tolist() == [-2.0]  # black: (0 - 0.5) / 0.25


def test_labels_can_be_flipped(tmp_path):
    write(tmp_path)
    train = MNIST(root=tmp_path).with_bug(LabelFlips()).data.train
    assert (train.labels != train.truth).sum() == 9


def mirrored(monkeypatch, theirs, folder, **changes):
    """Let torchvision's tables name files of a folder."""
    write(folder)
    files = sorted(folder.iterdir())
    md5 = {p.name: hashlib.md5(p.read_bytes(), usedforsecurity=False).hexdigest() for p in files}
    monkeypatch.setattr(theirs, "resources", list({**md5, **changes}.items()))
    monkeypatch.setattr(
        theirs, "mirrors", [f"{(folder / 'dead').as_uri()}/", f"{folder.as_uri()}/"]
    )


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST, KMNIST])
def test_it_is_fetched_once_and_only_where_asked(tmp_path, monkeypatch, cls):
    far, root = tmp_path / "far", tmp_path / "data"
    mirrored(monkeypatch, getattr(torchvision.datasets, cls.dataset), far)
    with pytest.raises(DataError, match="or `download: true` to fetch"):
        cls(root=root).check()
    assert not root.exists()
    module = cls(root=root, download=True)
    module.prepare_data()
    module.setup()
    there = sorted(path.name for path in (root / cls.dataset / "raw").iterdir())
    assert there == sorted(path.name for path in far.iterdir())
    half = root / cls.dataset / "raw" / f".{there[0]}.part"
    half.touch()
    shutil.rmtree(far)
    cls(root=root, download=True).check()  # they are there now
    assert not half.exists()


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    mirrored(monkeypatch, torchvision.datasets.FashionMNIST, tmp_path / "far")
    shutil.rmtree(tmp_path / "far")
    with pytest.raises(DataError, match=r"t10k-images.* could not be downloaded .*dead.*by hand"):
        FashionMNIST(root=tmp_path, download=True).check()


def test_another_file_than_torchvisions_is_not_kept(tmp_path, monkeypatch):
    wrong = {"train-labels-idx1-ubyte": "0" * 32}
    mirrored(monkeypatch, torchvision.datasets.KMNIST, tmp_path / "far", **wrong)
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte is not the expected file"):
        KMNIST(root=tmp_path / "data", download=True).check()
    kept = {path.name for path in (tmp_path / "data/KMNIST/raw").iterdir()}
    assert not any("train-labels" in name for name in kept)


def test_torchvision_has_addresses_and_digests_of_all_three():
    for cls in (MNIST, FashionMNIST, KMNIST):
        archives = cls(root=".")._archives()
        assert [archive.name.endswith("ubyte.gz") for archive in archives] == [True] * 4
        assert all(archive.urls and len(archive.digest) == 4 + 32 for archive in archives)


def test_the_real_ones_share_a_root(real_data):
    few = {"train": 100, "val": 50, "test": 50, "size": 32}
    digits, garments = MNIST(root=real_data, **few), FashionMNIST(root=real_data, **few)
    assert digits.clean.test.size == garments.clean.test.size == (1, 32, 32)
    assert garments.clean.test.masks.mean() > 1.5 * digits.clean.test.masks.mean()


def test_digits_stand_in_front_of_another_kind_of_scene_for_each_class(tmp_path):
    write(tmp_path)
    module = MNIST(root=tmp_path, channels=3)
    struck = module.with_bug(SpuriousBackground())
    struck.check()
    assert len({source.kind for source in module.scenes.values()}) == 10
    assert (struck.data.train.scenes != module.clean.train.scenes).any()


def test_scenes_need_colours_and_one_for_each_class(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="channels=3"):
        MNIST(root=tmp_path).with_bug(SpuriousBackground()).check()
    with pytest.raises(DataError, match=r"can't be made from MNIST: class '1'.* has no scene"):
        MNIST(root=tmp_path, channels=3, scenes={"0": "sky"}).with_bug(SpuriousBackground()).check()
