"""Files of the store that are truncated, changed, or belong to something else."""

import errno
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from explaindebug._lightning import pl
from explaindebug.app.checkpoints import WholeFiles, read_checkpoint
from explaindebug.app.error_messages import sentence
from explaindebug.app.store import Recipe, Store
from explaindebug.app.training import trainer
from explaindebug.core.errors import DataError
from explaindebug.datamodules import Embedded
from explaindebug.models import BVDCNN

RECIPE = Recipe("clean", 0, {}, {"lr": 1e-2}, "data")
PATIENT = replace(RECIPE, training={**RECIPE.training, "patience": 3})
CODE = "touch ran.txt"


class Cut(Exception):
    """The error that interrupts a training here."""


class CutAt(pl.Callback):
    """Interrupts a training in one of an epoch's hooks."""

    def __init__(self, hook: str, epoch: int) -> None:
        self.epoch = epoch
        setattr(self, hook, self.end)

    def end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise Cut


def network() -> nn.Module:
    return BVDCNN(1, 28, 3, widths=(4, 4), hidden=(8,))  # with dropout


def fit(
    folder: Path,
    recipe: Recipe = RECIPE,
    cut: pl.Callback | None = None,
    workers: int = 0,
    **options: Any,
) -> None:
    """Three epochs, with augmentation."""
    sizes: Any = {"size": 28, "train": 24, "val": 8, "test": 8, "batch_size": 8}
    Store(folder).fit(
        recipe,
        network,
        Embedded(**sizes, augment="flip_shift", workers=workers),
        lambda callbacks: trainer(
            max_epochs=3,
            logger=False,
            enable_progress_bar=False,
            callbacks=[*callbacks, *([cut] if cut else [])],
            **options,
        ),
    )


def weights(folder: Path, recipe: Recipe = RECIPE) -> torch.Tensor:
    loaded = Store(folder).load(recipe, network(), reused=True).network
    return torch.cat([x.flatten() for x in loaded.state_dict().values()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with both trainings, uninterrupted."""
    folder = tmp_path_factory.mktemp("whole")
    for recipe in (RECIPE, PATIENT):
        fit(folder, recipe)
    return folder


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with both trainings, interrupted in their second epoch."""
    folder = tmp_path_factory.mktemp("cut")
    for recipe in (RECIPE, PATIENT):
        with pytest.raises(Cut):
            fit(folder, recipe, CutAt("on_train_epoch_start", 1))
    return folder


class TestGoingOn:
    """A resumed training ends with exactly the weights of an uninterrupted one."""

    @pytest.mark.parametrize(
        ("hook", "epoch"),
        [
            ("on_train_epoch_start", 1),  # between two epochs
            ("on_train_epoch_end", 1),
            ("on_validation_end", 1),
            ("on_train_batch_end", 2),  # in the middle of one
        ],
    )
    @pytest.mark.parametrize("recipe", [RECIPE, PATIENT], ids=["last", "best"])
    def test_wherever_it_was_cut(
        self, tmp_path: Path, whole: Path, hook: str, epoch: int, recipe: Recipe
    ) -> None:
        with pytest.raises(Cut):
            fit(tmp_path, recipe, CutAt(hook, epoch))
        fit(tmp_path, recipe)
        assert torch.equal(weights(tmp_path, recipe), weights(whole, recipe))

    @pytest.mark.parametrize(
        "options",
        [{"val_check_interval": 1 / 3}, {"check_val_every_n_epoch": 2}, {"limit_val_batches": 0}],
    )
    def test_whenever_validations_are(
        self, tmp_path: Path, whole: Path, options: dict[str, Any]
    ) -> None:
        """In the middle of epochs, or not in all of them: the last epoch's weights are kept."""
        with pytest.raises(Cut):
            fit(tmp_path, cut=CutAt("on_train_batch_end", 1), **options)
        fit(tmp_path, **options)
        assert torch.equal(weights(tmp_path), weights(whole))

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_with_workers_that_load(self, tmp_path: Path) -> None:
        """They would begin with the first epoch's order, and draw its random numbers."""
        for name in ("whole", "cut"):
            if name == "cut":
                with pytest.raises(Cut):
                    fit(tmp_path / name, cut=CutAt("on_train_epoch_start", 1), workers=1)
            fit(tmp_path / name, workers=1)
        assert torch.equal(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def flipped(path: Path) -> None:
    """One bit, in the middle of the largest tensor."""
    content = bytearray(path.read_bytes())
    state = torch.load(path, weights_only=True)["state_dict"]
    largest = max(state.values(), key=torch.numel).contiguous().numpy().tobytes()
    content[content.index(largest) + len(largest) // 2] ^= 0x40
    path.write_bytes(content)


class Runs:
    """An object that runs a command if it is unpickled without restrictions."""

    def __reduce__(self) -> Any:
        return os.system, (CODE,)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def edited(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    state = torch.load(path, weights_only=True)
    torch.save(change(state) or state, path)


CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "without its end": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeros at its end": lambda path: path.write_bytes(path.read_bytes()[:-4096] + bytes(4096)),
    "text": lambda path: path.write_text("<html>quota exceeded</html>"),
    "a flipped bit": flipped,
    "pickled code": lambda path: path.write_bytes(pickle.dumps(Runs())),
    "code in a checkpoint": lambda path: torch.save({"state_dict": {}, "x": Runs()}, path),
    "a list": lambda path: torch.save([torch.zeros(3)], path),
    "tensors alone": lambda path: edited(path, lambda state: state["state_dict"]),
    "another training's": lambda path: edited(path, lambda s: s.update(recipe="0123456789abcdef")),
    "a folder": folder_instead,
    "a link to nothing": dangling,
}
NOTES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_text(path.read_text()[:20]),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "a list": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "without keys": lambda path: path.write_text("{}"),
    "words for seconds": lambda path: path.write_text('{"seconds": "many"}'),
    "no digest": lambda path: path.write_text('{"seconds": 1, "epochs": 3}'),
    "another digest": lambda path: path.write_text(
        json.dumps({"seconds": 1, "epochs": 3, "sha256": "0" * 64})
    ),
    "a folder": folder_instead,
    "a link to nothing": dangling,
}


class TestDamage:
    """It is detected, reported and set aside, and the network is trained again, only once."""

    @staticmethod
    def mended(folder: Path, recipe: Recipe, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)
        assert not Store(folder).has(recipe)
        fit(folder, recipe)
        assert Store(folder).has(recipe)
        assert torch.equal(weights(folder, recipe), weights(whole, recipe))
        assert not list(folder.rglob("*.part"))
        assert not (folder / "ran.txt").exists()

    @pytest.mark.parametrize("kind", CHECKPOINTS)
    def test_of_a_finished_network(
        self,
        tmp_path: Path,
        whole: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        kind: str,
    ) -> None:
        shutil.copytree(whole / RECIPE.key, tmp_path / RECIPE.key)
        CHECKPOINTS[kind](tmp_path / RECIPE.key / "last.ckpt")
        self.mended(tmp_path, RECIPE, whole, monkeypatch)
        assert str(tmp_path / RECIPE.key / "last.ckpt") in capsys.readouterr().out
        assert os.path.lexists(tmp_path / RECIPE.key / "last.ckpt.damaged")

    @pytest.mark.parametrize("kind", NOTES)
    def test_of_its_note(
        self, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        shutil.copytree(whole / RECIPE.key, tmp_path / RECIPE.key)
        NOTES[kind](tmp_path / RECIPE.key / "done.json")
        self.mended(tmp_path, RECIPE, whole, monkeypatch)

    @pytest.mark.parametrize("kind", ["half", "a flipped bit", "pickled code", "a folder"])
    @pytest.mark.parametrize("name", ["last", "best"])
    def test_of_one_under_training(
        self, tmp_path: Path, cut: Path, whole: Path, monkeypatch: pytest.MonkeyPatch,
        kind: str, name: str,
    ) -> None:  # fmt: skip
        """Also if only the best state is damaged, which the last one refers to."""
        shutil.copytree(cut / PATIENT.key, tmp_path / PATIENT.key)
        (tmp_path / PATIENT.key / ".last.ckpt.abcd1234.write.part").touch()
        CHECKPOINTS[kind](tmp_path / PATIENT.key / f"{name}.ckpt")
        self.mended(tmp_path, PATIENT, whole, monkeypatch)

    def test_the_best_state_may_be_gone(
        self, tmp_path: Path, cut: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(cut / PATIENT.key, tmp_path / PATIENT.key)
        (tmp_path / PATIENT.key / "best.ckpt").unlink()
        self.mended(tmp_path, PATIENT, whole, monkeypatch)

    def test_what_is_read_is_what_was_written(self, tmp_path: Path) -> None:
        path = tmp_path / "last.ckpt"
        WholeFiles().save_checkpoint({"state_dict": {"w": torch.arange(1000.0)}}, path)
        assert torch.equal(read_checkpoint(path)["state_dict"]["w"], torch.arange(1000.0))
        flipped(path)
        assert torch.load(path, weights_only=True)["state_dict"]  # torch sees nothing
        for read in (read_checkpoint, WholeFiles().load_checkpoint):
            with pytest.raises(DataError, match=r"last\.ckpt.*checksum"):
                read(path)


class TestWriting:
    def test_nothing_goes_through_the_temporary_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be on another disk, and a move between disks can be interrupted."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
        WholeFiles().save_checkpoint({"epoch": 3}, tmp_path / "last.ckpt")
        assert read_checkpoint(tmp_path / "last.ckpt") == {"epoch": 3}

    def test_a_disk_that_fills_up_leaves_the_checkpoint_from_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "last.ckpt"
        WholeFiles().save_checkpoint({"epoch": 3}, path)
        save = torch.save

        def full(content: Any, file: Any) -> None:
            save(content, file)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(OSError) as caught:  # noqa: PT011
            WholeFiles().save_checkpoint({"epoch": 4}, path)
        said = sentence(caught.value)
        assert said is not None
        assert said.startswith(f"{path} can't be written: the disk is full")
        assert "store=" in said
        assert read_checkpoint(path) == {"epoch": 3}
        assert os.listdir(tmp_path) == ["last.ckpt"]

    def test_where_no_file_is_named_the_places_are(self) -> None:
        said = sentence(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        assert said is not None
        assert f"{Path.cwd()} has" in said
        assert "TMPDIR" in said
