"""Trained networks by what they were trained from: trained once, reused when nothing changed."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn

from explaindebug._lightning import pl
from explaindebug.app.classifier import Classifier
from explaindebug.app.progress import say
from explaindebug.callbacks.keys import log_key
from explaindebug.errors import ConfigError
from explaindebug.files import writable_folder, write_json


@dataclass(frozen=True)
class Recipe:
    """All that decides a trained network's weights; equal recipes share one training."""

    name: str  # "clean", "clean twin", "spurious", ...: for people, not part of the identity
    seed: int
    model: Mapping[str, Any]  # the composed model config
    training: Mapping[str, Any]  # epochs, learning rate, batch size, ...
    data: str  # fingerprint of what it is trained on

    @property
    def key(self) -> str:
        """A short name of the identity."""
        identity = [self.seed, dict(self.model), dict(self.training), self.data]
        text = json.dumps(identity, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def kept(self) -> str:
        """Which weights are: with patience those of the lowest validation loss, else the last."""
        return "best.ckpt" if self.training.get("patience") else "last.ckpt"


@dataclass
class Trained:
    """A trained network in eval mode, and how it came about."""

    network: nn.Module
    checkpoint: Path | None  # none where its weights were taken as they are
    seconds: float = 0.0
    epochs: int | None = None
    reused: bool = True


class Store:
    """A folder of trainings by key: each has its checkpoints and, when done, `done.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)

    def has(self, recipe: Recipe) -> bool:
        """Whether the recipe's training is finished."""
        folder = self.folder / recipe.key
        return (folder / "done.json").is_file() and (folder / recipe.kept).is_file()

    @contextmanager
    def turn(self, recipe: Recipe) -> Iterator[None]:
        """Inside, no other run on this store trains the same network; waits until it is our turn.

        The lock goes with the process that holds it, however that ends. Where the file system has
        none, that is said, and the block is entered all the same.
        """
        lock = FileLock(writable_folder(self.folder / recipe.key) / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say(f"  another run trains it at the moment, in {self.folder / recipe.key}: waiting")
            lock.acquire()
        except (NotImplementedError, OSError) as error:
            say(f"  {self.folder} has no locks ({error}): let no other run use it at the same time")
        try:
            yield
        finally:
            lock.release()

    def fit(
        self,
        recipe: Recipe,
        build: Callable[[], nn.Module],
        data: pl.LightningDataModule,
        trainer: Callable[..., pl.Trainer],
    ) -> None:
        """Train the network, or go on where that was cut; `recipe.kept` says what is kept.

        `trainer` makes a Trainer from the extra callbacks that it is given. Several processes may
        do this together.
        """
        folder = writable_folder(self.folder / recipe.key)
        pl.seed_everything(recipe.seed, workers=True, verbose=False)
        how: Any = {k: v for k, v in recipe.training.items() if k in ("lr", "schedule")}
        module = Classifier(build(), name=recipe.name, **how)
        start = time.perf_counter()
        last = folder / "last.ckpt"
        module.train()
        runner = trainer(callbacks=_callbacks(recipe, folder))
        runner.fit(module, datamodule=data, ckpt_path=str(last) if last.is_file() else None)
        seconds = time.perf_counter() - start
        if not (folder / recipe.kept).is_file():
            raise ConfigError(
                f"training {recipe.name!r} left no {recipe.kept} in {folder}. Take options like "
                "fast_dev_run, or limits of few batches and steps, out of trainer; where there "
                "are none, remove that folder."
            )
        if runner.is_global_zero:
            write_json(folder / "recipe.json", {**recipe.__dict__, "key": recipe.key})
            done = {"seconds": round(seconds, 2), "epochs": module.current_epoch}
            write_json(folder / "done.json", done)
            if recipe.kept != last.name:
                last.unlink(missing_ok=True)

    def load(self, recipe: Recipe, network: nn.Module, *, reused: bool) -> Trained:
        """The network, freshly built, with the weights of its finished training."""
        folder = self.folder / recipe.key
        module = Classifier(network, name=recipe.name)
        checkpoint = folder / recipe.kept
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        module.load_state_dict(state["state_dict"])
        done = json.loads((folder / "done.json").read_text())
        seconds, epochs = float(done["seconds"]), done.get("epochs")
        return Trained(module.network.eval(), checkpoint, seconds, epochs, reused)


class _Kept(pl.callbacks.ModelCheckpoint):
    """One checkpoint of a name, the last or that of the lowest loss; the folder may be moved."""

    def __init__(self, folder: Path, name: str, loss: str | None = None) -> None:
        super().__init__(folder, name, loss, save_top_k=1, enable_version_counter=False)
        self.path = str(folder / f"{name}.ckpt")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The score of before, as that of the file in the present folder."""
        here = dict.fromkeys(("best_model_path", "kth_best_model_path"), self.path)
        score = dict(zip([self.path], state_dict["best_k_models"].values(), strict=False))
        moved = {"dirpath": self.dirpath, "best_k_models": score}
        super().load_state_dict({**state_dict, **here, **moved})


class _Patience(pl.callbacks.EarlyStopping):
    """Ends a training also where it was cut after it should have ended."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing more is trained where enough was."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


def _callbacks(recipe: Recipe, folder: Path) -> list[pl.Callback]:
    """What keeps the last state and, with patience, the best, and ends the training.

    The last comes last: so it knows of the others when the training is gone on with from it.
    """
    patience = recipe.training.get("patience")
    if not patience:
        return [_Kept(folder, "last")]
    loss = log_key(recipe.name, "val_loss")
    stop = _Patience(loss, patience=patience, check_finite=False, strict=False)
    return [stop, _Kept(folder, "best", loss), _Kept(folder, "last")]
