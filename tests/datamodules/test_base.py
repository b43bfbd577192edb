"""Data modules: clean data shared, bugs made from it, a fixed probe, and the same order always."""

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from explaindebug._lightning import pl
from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data import ImageSet, MaskedSample, Sample, Splits
from explaindebug.data.splits import balanced
from explaindebug.datamodules import (
    MNIST,
    BirdsDogs,
    DebugDataModule,
    DogBreeds,
    ImageNet,
    OxfordPets,
    Photos,
)


class Noise(DebugDataModule):
    """Random pictures with a box as object."""

    loaded = 0

    def __init__(self, *, masks=True, colours=("bird", "dog"), **options):
        super().__init__(**options)
        self.masks = masks
        self.colours = colours

    def load(self):
        type(self).loaded += 1

        def part(n, seed):
            rng = np.random.default_rng([self.seed, seed])
            masks = np.zeros((n, 16, 16), bool)
            masks[:, 4:12, 5:11] = True
            pixels = rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
            labels = np.arange(n) % 2
            return ImageSet(pixels, labels, ("bird", "dog"), masks if self.masks else None)

        return Splits(part(40, 0), part(10, 1), part(16, 2))

    @property
    def scenes(self):
        def flat(rows, *, split, size, seed):
            return np.full((len(rows), size, size, 3), 99, np.uint8)

        return dict.fromkeys(self.colours, flat)


class Counter(pl.LightningModule):
    """A model that writes down which rows it is trained on."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3 * 16 * 16, 1)
        self.epochs = []

    def on_train_epoch_start(self):
        self.epochs.append([])

    def training_step(self, batch, _):
        self.epochs[-1] += batch.row.tolist()
        return self.layer(batch.image.flatten(1)).square().mean()

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_clean_data_are_loaded_once_and_shared():
    Noise.loaded = 0
    module = Noise()
    twin = module.with_bug(LabelFlips()).with_seed(3)
    assert Noise.loaded == 0  # nothing is read before it is needed
    twin.setup("fit")
    assert twin.clean is module.clean
    assert module.data is module.clean
    assert twin.with_bug(None).data is module.clean
    assert Noise.loaded == 1


def test_a_bug_strikes_its_splits_and_leaves_the_clean_view_untouched():
    module = Noise()
    before = module.fingerprint()
    flipped = module.with_bug(LabelFlips(0.25))
    assert (flipped.data.train.labels != flipped.data.train.truth).sum() == 10
    assert flipped.data.val is module.clean.val
    assert flipped.data.test is module.clean.test
    assert flipped.fingerprint() != before
    spurious = module.with_bug(SpuriousBackground())
    for dirty, clean in zip(spurious.data, module.clean, strict=True):
        assert (dirty.scenes == 99).all()
        assert not np.array_equal(dirty.pixels, clean.pixels)
    assert module.fingerprint() == before
    assert spurious.with_bug(SpuriousBackground()).data is spurious.data  # made once


def test_the_record_is_plain_and_names_every_split():
    module = Noise()
    assert module.record == []
    (record,) = module.with_bug(LabelFlips(0.1)).record
    assert json.loads(json.dumps(record)) == record
    assert record["split"] == "train"
    assert len(record["rows"]) == 4
    splits = [r["split"] for r in module.with_bug(SpuriousBackground()).record]
    assert splits == ["train", "val", "test"]


def test_a_bug_that_the_data_dont_allow_says_why():
    with pytest.raises(DataError, match=r"'background' can't be made from Noise: it has no masks"):
        Noise(masks=False).with_bug(SpuriousBackground()).check()
    with pytest.raises(DataError, match=r"from Noise: class 'dog' has no scene"):
        Noise(colours=("bird",)).with_bug(SpuriousBackground()).check()
    Noise(masks=False).with_bug(LabelFlips()).check()


def test_options_are_checked():
    with pytest.raises(ConfigError, match=r"batch_size .* got 0"):
        Noise(batch_size=0)
    with pytest.raises(ConfigError, match=r"unknown augment 'flips'. Known: none, flip"):
        Noise(augment="flips")


def test_the_probe_is_balanced_and_the_same_with_and_without_a_bug():
    module = Noise()
    probe = module.probe(7)
    assert probe.truth.tolist() == [0, 1, 0, 1, 0, 1, 0]
    spurious = module.with_bug(SpuriousBackground()).probe(7)
    assert spurious.indices.tolist() == probe.indices.tolist()
    assert module.probe(4).indices.tolist() == probe.indices[:4].tolist()
    assert module.probe(4, split="train").indices.tolist() == [0, 1, 2, 3]
    with pytest.raises(
        DataError, match=r"probe of 20 needs 10 test pictures of class 'bird', .*are 8"
    ):
        module.probe(20)


def test_the_probe_leaves_out_pictures_that_the_object_fills():
    module = Noise()
    module.clean.test.masks[[0, 3]] = True
    assert module.probe(4).indices.tolist() == [2, 1, 4, 5]


def test_probe_batches_have_signals_and_scenes_where_they_are_known():
    assert type(next(iter(Noise(batch_size=4, masks=False).probe_dataloader(6)))) is Sample
    module = Noise(batch_size=4)
    (first, second) = module.probe_dataloader(6)
    assert type(first) is MaskedSample
    assert first.scene is None
    batches = list(module.with_bug(SpuriousBackground()).probe_dataloader(6))
    assert [type(b) for b in batches] == [MaskedSample] * 2
    assert torch.cat([b.row for b in batches]).tolist() == [*first.row, *second.row]
    assert batches[0].signal.shape == batches[0].scene[:, :1].shape == (4, 1, 16, 16)
    assert torch.equal(batches[0].signal, first.signal)


@pytest.mark.parametrize("count", [1, 5, 6, 9])
def test_balanced_rows_take_the_classes_in_turn(count):
    truth = np.array([2, 2, 0, 1, 0, 2, 1, 0, 1])
    found = truth[balanced(truth, count, ("a", "b", "c"), "test")]
    assert found.tolist() == [i % 3 for i in range(count)]


def fit(module, **options):
    model = Counter()
    pl.Trainer(
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    ).fit(model, datamodule=module)
    return model


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*logging interval.*")
def test_a_trainer_sees_the_same_order_whatever_the_global_seed():
    first = fit(Noise(batch_size=8), max_epochs=3).epochs
    torch.manual_seed(99)
    assert fit(Noise(batch_size=8), max_epochs=3).epochs == first
    assert fit(Noise(batch_size=8).with_seed(1), max_epochs=3).epochs != first
    assert all(sorted(epoch) == list(range(40)) for epoch in first)
    assert len({tuple(epoch) for epoch in first}) == 3


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*logging interval.*")
def test_a_continued_run_goes_on_with_the_order_it_would_have_had(tmp_path):
    quiet = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "default_root_dir": tmp_path}
    whole = fit(Noise(batch_size=8), max_epochs=4).epochs
    trainer = pl.Trainer(max_epochs=2, enable_checkpointing=False, **quiet)
    trainer.fit(Counter(), datamodule=Noise(batch_size=8))
    trainer.save_checkpoint(tmp_path / "cut.ckpt")
    model = Counter()
    later = pl.Trainer(max_epochs=4, enable_checkpointing=False, **quiet)
    later.fit(model, datamodule=Noise(batch_size=8), ckpt_path=tmp_path / "cut.ckpt")
    assert model.epochs == whole[2:]


def test_modules_can_be_copied_and_pickled():
    module = Noise().with_bug(LabelFlips())
    module.check()
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin.fingerprint() == module.fingerprint()


class Writer(Counter):
    """Writes each rank's rows to a file."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_train_end(self):
        (self.folder / f"{self.global_rank}.json").write_text(json.dumps(self.epochs))


@pytest.mark.filterwarnings("ignore")  # Lightning and fork have much to say about this machine
def test_two_processes_share_every_epoch_shuffled(tmp_path):
    module = Noise(batch_size=4)
    module.check()
    options = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_fork", "max_epochs": 2}
    off = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    pl.Trainer(**options, **dict.fromkeys(off, False)).fit(Writer(tmp_path), datamodule=module)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for a, b in zip(first, second, strict=True):
        assert sorted(a + b) == list(range(40))
        assert a != sorted(a)
    assert first[0] != first[1]


REFUSED = {
    "val=-1": {"val": -1},
    "test=0": {"test": 0},
    "train=1000000000.0": {"train": 1e9},
    "root": {"root": " "},
}


@pytest.mark.parametrize("kind", [MNIST, Photos, OxfordPets, ImageNet, BirdsDogs, DogBreeds])
@pytest.mark.parametrize("key", REFUSED)
def test_what_can_not_be_is_refused_before_any_file_is_looked_for(kind: Any, key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}"):
        kind(**{"root": "nowhere"} | REFUSED[key])


@pytest.mark.parametrize("kind", [Photos, OxfordPets, ImageNet])
@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_a_limit_is_a_number_of_pictures(kind: Any, limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"^limit"):
        kind(root="nowhere", limit=limit)


@pytest.mark.parametrize("kind", [Photos, OxfordPets])
@pytest.mark.parametrize("spec", [7, "", None, {}, {"a": 7}, ["x"], "drawn:skyx"])
def test_what_can_not_say_where_scenes_are_is_refused(kind: Any, spec: Any) -> None:
    with pytest.raises(ConfigError, match="scene"):
        kind(root="nowhere", scenes={"cat": spec})


@pytest.mark.parametrize("classes", [[], ["one"], "bird", {}, {"a": 7, "b": 7}])
def test_photos_need_two_classes(classes: Any) -> None:
    with pytest.raises(ConfigError, match=r"^classes"):
        Photos(root="nowhere", classes=classes)
