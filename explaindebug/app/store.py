"""Trained networks by what they were trained from: trained once, reused when nothing changed."""

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
from explaindebug.app.checkpoints import digest, read_checkpoint
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
from explaindebug.core.io import remove_parts, set_aside, writable_folder, write_json

HYPER_PARAMETERS = (
    *("hyper_parameters", "hparams_name", "hparams_type"),
    *(f"datamodule_{name}" for name in ("hyper_parameters", "hparams_name", "hparams_type")),
)
COURSE = 2  # the way in which networks are trained; those of another are not found in the store


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
        identity = [COURSE, self.seed, dict(self.model), dict(self.training), self.data]
        text = json.dumps(identity, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def kept(self) -> str:
        """Which weights are: with patience those of the lowest validation loss, else the last."""
        if "training" in self.training:
            return "weights.pt"  # of a training that is not ours
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
        """Whether the recipe's training is finished, and its weights are those that it ended with.

        Raises:
            PermissionError: where they may not be read.
        """
        done, kept = self._done(recipe), self.folder / recipe.key / recipe.kept
        return done is not None and kept.is_file() and digest(kept) == done["sha256"]

    @contextmanager
    def turn(self, recipe: Recipe) -> Iterator[None]:
        """Inside, no other run on this store trains the same network; waits until it is our turn.

        The lock goes with the process that holds it, however that ends. Where the file system has
        none, that is said, and the block is entered all the same.
        """
        folder = writable_folder(self.folder / recipe.key)

        def wait() -> None:
            say(f"  another run trains it at the moment, in {folder}: waiting")

        with locked(folder / "lock", wait):
            yield

    def fit(
        self,
        recipe: Recipe,
        build: Callable[[], nn.Module],
        data: pl.LightningDataModule,
        trainer: Callable[..., pl.Trainer],
    ) -> None:
        """Train the network, or go on where that was cut; `recipe.kept` says what is kept.

        Going on ends with the weights that an uncut training has. What can't be gone on from is
        set aside, which is said, and the training starts from its beginning.

        `trainer` makes a Trainer from the extra callbacks that it is given. Several processes may
        do this together.

        Raises:
            ConfigError: where the trainer leaves no weights to keep.
        """
        folder = writable_folder(self.folder / recipe.key)
        pl.seed_everything(recipe.seed, workers=True, verbose=False)
        module = _trainable(build(), recipe)
        start = time.perf_counter()
        last = folder / "last.ckpt"
        module.train()
        loss = "val_loss" if _own(module) else log_key(recipe.name, "val_loss")
        runner = trainer(callbacks=_callbacks(recipe, folder, loss))
        # Each process finds out by itself; what the first one clears away, the others don't use.
        damaged = self._damaged(recipe)
        whole = last.is_file() and not damaged
        if runner.is_global_zero:
            self._clear(recipe, damaged)
        with _told(module, recipe.name):
            runner.fit(module, datamodule=data, ckpt_path=str(last) if whole else None)
        seconds = time.perf_counter() - start
        if not (folder / recipe.kept).is_file():
            raise ConfigError(
                f"training {recipe.name!r} left no {recipe.kept} in {folder}. Take options like "
                "fast_dev_run, or limits of few batches and steps, out of trainer; where there "
                "are none, remove that folder."
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
        """What `done.json` says; None where there is none, or it can't be used."""
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
            found[note] = f"{note} can't be read as the note of a finished training."
        if done is not None and kept in states and digest(kept) != done["sha256"]:
            found[kept] = f"{kept} is not what the training ended with."
        if last in states and kept not in states and _has_best(states[last]):
            found.setdefault(last, f"{last} can't be gone on from: {kept.name} can't be used.")
        return found

    def _clear(self, recipe: Recipe, damaged: Mapping[Path, str]) -> None:
        """Leaves only what a training can go on from."""
        folder = self.folder / recipe.key
        for path, why in damaged.items():
            say(f"  {why} It is set aside as {set_aside(path).name}, and trained again.")
        remove_parts(folder)
        (folder / "done.json").unlink(missing_ok=True)

    def load(self, recipe: Recipe, network: nn.Module, *, reused: bool) -> Trained:
        """The network, freshly built, with the weights of its finished training.

        Raises:
            DataError: where it is not finished, or its files are damaged.
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
        FileNotFoundError: where there is none.
        DataError: where it can't be read, or is that of another training.
    """
    if not path.exists() and not path.is_symlink():
        raise FileNotFoundError(path)
    state = read_checkpoint(path)
    if state.get("recipe") != recipe.key:
        raise DataError(f"{path} is not of this training.")
    return state


def _has_best(state: Mapping[str, Any]) -> bool:
    """Whether, when this state was kept, there was a best one already."""
    callbacks = state.get("callbacks", {}).values()
    return any(one.get("monitor") and one.get("best_k_models") for one in callbacks)


class _Course(pl.Callback):
    """What makes a training that was cut end like one that was not.

    All that is random in an epoch follows from the recipe's seed and the epoch's number, whatever
    was drawn before; and a checkpoint says of which training it is.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Processes that train together draw different numbers."""
        which = [self.recipe.seed, trainer.current_epoch, trainer.global_rank]
        seed = int(np.random.SeedSequence(which).generate_state(1)[0])
        pl.seed_everything(seed, workers=True, verbose=False)
        generator = getattr(trainer.train_dataloader, "generator", None)
        if generator is not None:  # of the seeds of a loader's workers
            generator.manual_seed(seed)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """The recipe's key goes into it; what a module was made with, of any type, does not."""
        checkpoint["recipe"] = self.recipe.key
        for key in HYPER_PARAMETERS:
            checkpoint.pop(key, None)


class _Kept(pl.callbacks.ModelCheckpoint):
    """One checkpoint of a name, the last or that of the lowest loss; the folder may be moved.

    The last is that of an epoch's end, whenever validations are: nothing else can be gone on from
    without seeing some pictures twice.
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


def _callbacks(recipe: Recipe, folder: Path, loss: str) -> list[pl.Callback]:
    """What keeps the last state and, with patience, the best, and ends the training.

    The last comes last: so it knows of the others when the training is gone on with from it.
    """
    course, patience = _Course(recipe), recipe.training.get("patience")
    if not patience:
        return [course, _Kept(folder, "last")]
    stop = _Patience(loss, patience=patience, check_finite=False, strict=False)
    return [course, stop, _Kept(folder, "best", loss), _Kept(folder, "last")]
