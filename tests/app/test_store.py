"""A network that several runs need at once is trained by one of them and read by all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from explaindebug._lightning import pl
from explaindebug.app.store import Recipe, Store
from explaindebug.app.training import trainer
from explaindebug.core.errors import ConfigError
from explaindebug.datamodules import Embedded
from explaindebug.models import BVDCNN

SCRIPT = """
import hashlib, json, sys, time
from pathlib import Path
import torch
from explaindebug.app.store import Store, Recipe
recipe = Recipe("clean", 0, {}, {"lr": 1e-3}, "data")
store, mine, enough = Store(Path("store")), Path(sys.argv[1]), Path(sys.argv[2])
with store.turn(recipe):
    if store.has(recipe):
        print("found")
    else:
        mine.touch()
        while not enough.exists():
            time.sleep(0.05)
        (store.folder / recipe.key / "last.ckpt").write_text("weights")
        done = {"seconds": 0, "sha256": hashlib.sha256(b"weights").hexdigest()}
        (store.folder / recipe.key / "done.json").write_text(json.dumps(done))
        print("made")
"""


@contextmanager
def started(tmp_path: Path, name: str, enough: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that trains the network if it is missing, until the file `enough` exists."""
    line = [sys.executable, "-u", "-c", SCRIPT, name, enough]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def until(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_of_two_runs_that_want_one_network_one_trains_and_the_other_waits(tmp_path: Path) -> None:
    with started(tmp_path, "a", "enough") as a:
        until(tmp_path / "a")
        with started(tmp_path, "b", "enough") as b:
            assert "waiting for another run that is training it" in first_line(b)
            (tmp_path / "enough").touch()
            assert a.communicate()[0].split() == ["made"]
            assert b.communicate()[0].split() == ["found"]
    assert not (tmp_path / "b").exists()


def test_a_run_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    with started(tmp_path, "a", "never") as a:
        until(tmp_path / "a")
        with started(tmp_path, "b", ".") as b:
            assert "waiting" in first_line(b)
            os.kill(a.pid, signal.SIGKILL)
            assert b.communicate(timeout=120)[0].split() == ["made"]


def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from explaindebug.app import locks

    def none(*_: object, **__: object) -> None:
        raise NotImplementedError("no flock")

    monkeypatch.setattr(locks.FileLock, "acquire", none)
    with Store(tmp_path).turn(Recipe("clean", 0, {}, {}, "data")):
        pass
    assert "make sure that no other run uses it" in capsys.readouterr().out


def test_recipes_differ_by_all_that_decides_weights_and_by_nothing_else() -> None:
    same = Recipe("clean", 0, {"name": "bvd_cnn"}, {"lr": 1}, "data")
    assert Recipe("twin", 0, {"name": "bvd_cnn"}, {"lr": 1}, "data").key == same.key
    others = [
        Recipe("clean", 1, {"name": "bvd_cnn"}, {"lr": 1}, "data"),
        Recipe("clean", 0, {"name": "vgg16"}, {"lr": 1}, "data"),
        Recipe("clean", 0, {"name": "bvd_cnn"}, {"lr": 1, "processes": 2}, "data"),
        Recipe("clean", 0, {"name": "bvd_cnn"}, {"lr": 1}, "other"),
    ]
    assert len({recipe.key for recipe in [same, *others]}) == 5


def test_what_is_loaded_is_in_eval_mode(tmp_path: Path) -> None:
    recipe = Recipe("clean", 0, {}, {"lr": 1e-3}, "data")
    network = BVDCNN(1, 8, 3, widths=(2,), hidden=(2,))
    folder = tmp_path / recipe.key
    folder.mkdir()
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights}, folder / "last.ckpt")
    (folder / "done.json").write_text('{"seconds": 2.0}')
    fresh = BVDCNN(1, 8, 3, widths=(2,), hidden=(2,)).train()
    loaded = Store(tmp_path).load(recipe, fresh, reused=True)
    assert not loaded.network.training
    assert torch.equal(loaded.network.conv1.weight, network.conv1.weight)


class TestPatience:
    """A learning rate at which this network soon overfits."""

    recipe = Recipe("clean", 0, {}, {"lr": 3e-2, "schedule": "constant", "patience": 2}, "data")

    def fit(
        self,
        folder: Path,
        epochs: int,
        recipe: Recipe = recipe,
        losses: "Losses | None" = None,
        **options: Any,
    ) -> list[float]:
        """The validation losses of all epochs."""
        losses = losses or Losses()
        data = Embedded(size=28, train=24, val=24, test=8, batch_size=8)
        Store(folder).fit(
            recipe,
            lambda: BVDCNN(1, 28, 3, widths=(4, 4), hidden=(8,), dropout=0),
            data,
            lambda callbacks: trainer(
                max_epochs=epochs,
                logger=False,
                enable_progress_bar=False,
                callbacks=[*callbacks, losses],
                **options,
            ),
        )
        return losses.found

    def weights(self, folder: Path, recipe: Recipe = recipe) -> torch.Tensor:
        fresh = BVDCNN(1, 28, 3, widths=(4, 4), hidden=(8,), dropout=0)
        return Store(folder).load(recipe, fresh, reused=True).network.fc2.weight

    def test_it_ends_and_the_best_weights_are_kept(self, tmp_path: Path) -> None:
        losses = self.fit(tmp_path, 40)
        best = int(np.argmin(losses))
        assert len(losses) == best + 1 + 2 < 40
        last = replace(self.recipe, training={**self.recipe.training, "patience": None})
        self.fit(tmp_path / "until", best + 1, last)  # no patience: the last epoch's weights
        assert torch.equal(self.weights(tmp_path), self.weights(tmp_path / "until", last))

    def cut(self, folder: Path, after: int) -> list[float]:
        """The same, interrupted by an error after this number of epochs."""
        losses = Losses(after)
        with pytest.raises(Cut):
            self.fit(folder, 40, losses=losses)
        return losses.found

    @pytest.mark.parametrize("moved", [False, True])
    @pytest.mark.parametrize("late", [1, 2])
    def test_a_cut_training_goes_on_as_if_it_had_not_been(
        self, tmp_path: Path, late: int, moved: bool
    ) -> None:
        """So many epochs after the best; two are those that it would have waited."""
        whole = self.fit(tmp_path / "whole", 40)
        folder = tmp_path / "cut"
        first = self.cut(folder, int(np.argmin(whole)) + 1 + late)
        if moved:
            folder = folder.rename(tmp_path / "elsewhere")
        rest = self.fit(folder, 40)
        assert first + rest == whole
        assert torch.equal(self.weights(tmp_path / "whole"), self.weights(folder))

    def test_only_the_weights_that_count_stay(self, tmp_path: Path) -> None:
        self.fit(tmp_path, 40)
        assert [path.name for path in tmp_path.glob("*/*.ckpt")] == ["best.ckpt"]
        assert Store(tmp_path).has(self.recipe)

    @pytest.mark.filterwarnings("ignore:.*could not find the monitored key")
    def test_a_training_without_any_validation_ends_in_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"left no best.ckpt"):
            self.fit(tmp_path, 4, max_steps=1)


class Cut(Exception):
    """The error that interrupts a training here."""


class Losses(pl.Callback):
    def __init__(self, most: int = 1000) -> None:
        self.found: list[float] = []
        self.most = most

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found.append(float(trainer.callback_metrics["clean/val_loss"]))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end()

    def _end(self) -> None:
        if len(self.found) == self.most:
            raise Cut
