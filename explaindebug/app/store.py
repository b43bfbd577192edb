"""A store of trained networks: each is trained once, and reused while nothing that matters changes.

Networks are found by a hash of everything that determines their weights.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from explaindebug._lightning import pl
from explaindebug.app.checkpoints import read_checkpoint
from explaindebug.app.classifier import Classifier
from explaindebug.app.locks import locked
from explaindebug.app.own_modules import adopted, is_lightning, logits_of
from explaindebug.app.progress import say
from explaindebug.callbacks.keys import log_key
from explaindebug.core.errors import (
    ConfigError,
    DataError,
    ExplainDebugError,
    UnsupportedModelError,
)
from explaindebug.core.io import digest, remove_parts, set_aside, writable_folder, write_json

COURSE = 2  # version of the training procedure; networks of other versions are not reused
HYPER_PARAMETERS = (
    *("hyper_parameters", "hparams_name", "hparams_type"),
    *(f"datamodule_{name}" for name in ("hyper_parameters", "hparams_name", "hparams_type")),
)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a network's weights; equal recipes share one training."""

    name: str  # "clean", "clean twin", "spurious", ...: for display, not part of the identity
    seed: int
    model: Mapping[str, Any]  # the composed model config
    training: Mapping[str, Any]  # epochs, learning rate, batch size, ...
    data: str  # fingerprint of the training data

    @property
    def key(self) -> str:
        """A hash that identifies the recipe, and names its folder."""
        identity = [COURSE, self.seed, dict(self.model), dict(self.training), self.data]
        text = json.dumps(identity, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def kept(self) -> str:
        """File name of the weights: with patience, of the lowest validation loss, else the last."""
        if "training" in self.training:
            return "weights.pt"  # written by the user's code
        return "best.ckpt" if self.training.get("patience") else "last.ckpt"


@dataclass
class Trained:
    """A trained network in eval mode, and how it was obtained."""

    network: nn.Module
    checkpoint: Path | None  # None if its weights are used as they are
    seconds: float = 0.0
    epochs: int | None = None
    reused: bool = True


class Store:
    """A folder of trainings by key; each has its checkpoints and, when finished, `done.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)

    def has(self, recipe: Recipe) -> bool:
        """Whether the recipe's training is finished, and its weights are unchanged since.

        Raises:
            PermissionError: if they may not be read.
        """
        done, kept = self._done(recipe), self.folder / recipe.key / recipe.kept
        return done is not None and kept.is_file() and digest(kept) == done["sha256"]

    @contextmanager
    def turn(self, recipe: Recipe) -> Iterator[None]:
        """Keep other runs from training the same network; waits until none does.

        Locks as `locked` does.
        """
        folder = writable_folder(self.folder / recipe.key)

        def wait() -> None:
            say(f"  waiting for another run that is training it in {folder}")

        with locked(folder / "lock", wait):
            yield

    def fit(
        self,
        recipe: Recipe,
        build: Callable[[], nn.Module],
        data: pl.LightningDataModule,
        trainer: Callable[..., pl.Trainer],
    ) -> None:
        """Train the network, or resume an interrupted training; the file `recipe.kept` is kept.

        A resumed training ends with the same weights as an uninterrupted one. Files that can't be
        resumed from are set aside, with a message, and the training starts from the beginning.

        `trainer` makes a Trainer with the given extra callbacks. Several processes may call this
        together.

        Raises:
            ConfigError: if the training leaves no weights to keep.
        """
        folder = writable_folder(self.folder / recipe.key)
        pl.seed_everything(recipe.seed, workers=True, verbose=False)
        module = _trainable(build(), recipe)
        start = time.perf_counter()
        last = folder / "last.ckpt"
        module.train()
        loss = "val_loss" if _own(module) else log_key(recipe.name, "val_loss")
        runner = trainer(callbacks=_callbacks(recipe, folder, loss))
        # Each process checks for itself; none uses what the first one clears away.
        damaged = self._damaged(recipe)
        whole = last.is_file() and not damaged
        if runner.is_global_zero:
            self._clear(recipe, damaged)
        with _told(module, recipe.name):
            runner.fit(module, datamodule=data, ckpt_path=str(last) if whole else None)
        seconds = time.perf_counter() - start
        if not (folder / recipe.kept).is_file():
            raise ConfigError(
                f"training {recipe.name!r} left no {recipe.kept} in {folder}. Remove options like "
                "fast_dev_run, or limits of few batches and steps, from trainer; if there are "
                "none, remove that folder."
            )
        if runner.is_global_zero:
            write_json(folder / "recipe.json", {**recipe.__dict__, "key": recipe.key})
            done = {
                "seconds": round(seconds, 2),
                "epochs": module.current_epoch,
                "sha256": digest(folder / recipe.kept),
            }
            write_json(folder / "done.json", done)
            if recipe.kept != last.name:
                last.unlink(missing_ok=True)

    def kept(self, recipe: Recipe) -> Path:
        """The file of the weights."""
        return self.folder / recipe.key / recipe.kept

    def fit_outside(self, recipe: Recipe, train: Callable[[Path, Path], None]) -> None:
        """Have the network trained by somebody else's code, from its beginning.

        `train` gets a folder to work in and the file for the weights.

        Raises:
            ConfigError, DataError: where that leaves no weights.
        """
        folder, start = writable_folder(self.folder / recipe.key), time.perf_counter()
        self._clear(recipe, {})
        train(writable_folder(folder / "work"), folder / recipe.kept)
        shutil.rmtree(folder / "work", ignore_errors=True)
        seconds = round(time.perf_counter() - start, 2)
        write_json(folder / "recipe.json", {**recipe.__dict__, "key": recipe.key})
        done = {"seconds": seconds, "epochs": None, "sha256": digest(folder / recipe.kept)}
        write_json(folder / "done.json", done)

    def _done(self, recipe: Recipe) -> dict[str, Any] | None:
        """The content of `done.json`; None if there is none, or it can't be used."""
        try:
            found = json.loads((self.folder / recipe.key / "done.json").read_text("utf-8"))
            return {"epochs": None, "sha256": None, **found, "seconds": float(found["seconds"])}
        except PermissionError:
            raise
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _damaged(self, recipe: Recipe) -> dict[Path, str]:
        """Files of the training that can't be used, and why."""
        folder = self.folder / recipe.key
        note, last, kept = (folder / name for name in ("done.json", "last.ckpt", recipe.kept))
        found = {}
        states = {}
        for path in {last, kept}:
            try:
                states[path] = _own_state(path, recipe)
            except FileNotFoundError:
                pass
            except DataError as error:
                found[path] = str(error)
        done = self._done(recipe)
        if done is None and note.exists():
            found[note] = f"{note} is not a valid record of a finished training."
        if done is not None and kept in states and digest(kept) != done["sha256"]:
            found[kept] = f"{kept} has changed since the training ended."
        if last in states and kept not in states and _has_best(states[last]):
            found.setdefault(last, f"{last} can't be resumed from: {kept.name} can't be used.")
        return found

    def _clear(self, recipe: Recipe, damaged: Mapping[Path, str]) -> None:
        """Leave only files that a training can resume from."""
        folder = self.folder / recipe.key
        for path, why in damaged.items():
            say(f"  {why} Set aside as {set_aside(path).name}; the network is trained again.")
        remove_parts(folder)
        (folder / "done.json").unlink(missing_ok=True)

    def load(self, recipe: Recipe, network: nn.Module, *, reused: bool) -> Trained:
        """The given new network, with the weights of its finished training.

        Raises:
            DataError: if the training is not finished, or its files are damaged.
        """
        checkpoint = self.kept(recipe)
        done = self._done(recipe)
        if done is None:
            raise DataError(f"{checkpoint.parent} holds no finished training of {recipe.name!r}.")
        if "training" not in recipe.training:
            module = _trainable(network, recipe)
            module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
            network = logits_of(module) if _own(module) else module.network
        return Trained(network.eval(), checkpoint, done["seconds"], done["epochs"], reused)


def _trainable(network: nn.Module, recipe: Recipe) -> Any:
    """A LightningModule as it is, anything else as a classifier."""
    if is_lightning(network):
        return adopted(network)
    how: Any = {k: v for k, v in recipe.training.items() if k in ("lr", "schedule")}
    return Classifier(network, name=recipe.name, **how)


def _own(module: Any) -> bool:
    """Whether it is the user's."""
    return not isinstance(module, Classifier)


@contextmanager
def _told(module: Any, name: str) -> Iterator[None]:
    """Inside, what fails in the user's module is told in a sentence."""
    try:
        yield
    except (ExplainDebugError, OSError):
        raise
    except Exception as error:
        if not _own(module):
            raise
        raise UnsupportedModelError(
            f"training {name!r}: {type(module).__name__} failed ({type(error).__name__}: "
            f"{' '.join(str(error).split())}). Its batches look as its own data module gives them, "
            "or are lists of images and labels where the data is one of this package's. "
            "HYDRA_FULL_ERROR=1 shows where."
        ) from error


def _own_state(path: Path, recipe: Recipe) -> dict[str, Any]:
    """A checkpoint of this training.

    Raises:
        FileNotFoundError: if there is none.
        DataError: if it can't be read, or belongs to another training.
    """
    if not path.exists() and not path.is_symlink():
        raise FileNotFoundError(path)
    state = read_checkpoint(path)
    if state.get("recipe") != recipe.key:
        raise DataError(f"{path} belongs to another training.")
    return state


def _has_best(state: Mapping[str, Any]) -> bool:
    """Whether there was a best checkpoint already when this state was saved."""
    callbacks = state.get("callbacks", {}).values()
    return any(one.get("monitor") and one.get("best_k_models") for one in callbacks)


class _Course(pl.Callback):
    """Makes a resumed training end like an uninterrupted one.

    Everything random in an epoch follows from the recipe's seed and the epoch's number, whatever
    was drawn before. Each checkpoint records which training it belongs to.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed the epoch; processes that train together get different seeds."""
        which = [self.recipe.seed, trainer.current_epoch, trainer.global_rank]
        seed = int(np.random.SeedSequence(which).generate_state(1)[0])
        pl.seed_everything(seed, workers=True, verbose=False)
        generator = getattr(trainer.train_dataloader, "generator", None)
        if generator is not None:  # draws the seeds of the loader's workers
            generator.manual_seed(seed)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the recipe's key; leave out the module's arguments, which may be of any type."""
        checkpoint["recipe"] = self.recipe.key
        for key in HYPER_PARAMETERS:
            checkpoint.pop(key, None)


class _Kept(pl.callbacks.ModelCheckpoint):
    """One checkpoint with a fixed name: the last or that of the lowest loss.

    The last is saved at the end of an epoch, whenever validation runs: resuming from elsewhere
    would show some pictures twice. The folder may be moved between saving and resuming.
    """

    def __init__(self, folder: Path, name: str, loss: str | None = None) -> None:
        super().__init__(
            folder,
            name,
            loss,
            save_top_k=1,
            enable_version_counter=False,
            save_on_train_epoch_end=True if loss is None else None,
        )
        self.path = str(folder / f"{name}.ckpt")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the score, as that of the file in the current folder."""
        here = dict.fromkeys(("best_model_path", "kth_best_model_path"), self.path)
        score = dict(zip([self.path], state_dict["best_k_models"].values(), strict=False))
        moved = {"dirpath": self.dirpath, "best_k_models": score}
        super().load_state_dict({**state_dict, **here, **moved})


class _Patience(pl.callbacks.EarlyStopping):
    """Early stopping that also ends a training resumed after its patience ran out."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if patience has run out before."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


def _callbacks(recipe: Recipe, folder: Path, loss: str) -> list[pl.Callback]:
    """Callbacks that save the last state and, with patience, the best, and stop early.

    The one that saves the last state comes last, so that it includes the states of the others.
    """
    course, patience = _Course(recipe), recipe.training.get("patience")
    if not patience:
        return [course, _Kept(folder, "last")]
    stop = _Patience(loss, patience=patience, check_finite=False, strict=False)
    return [course, stop, _Kept(folder, "best", loss), _Kept(folder, "last")]
