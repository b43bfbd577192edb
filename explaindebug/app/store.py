"""Trained networks by what they were trained from: trained once, reused when nothing changed."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from explaindebug._lightning import pl
from explaindebug.app.classifier import Classifier
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


@dataclass
class Trained:
    """A trained network in eval mode, and how it came about."""

    network: nn.Module
    folder: Path
    seconds: float
    reused: bool


class Store:
    """A folder of trainings by key: each has `last.ckpt` and, when done, `done.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = writable_folder(folder)

    def has(self, recipe: Recipe) -> bool:
        """Whether the recipe's training is finished."""
        folder = self.folder / recipe.key
        return (folder / "done.json").is_file() and (folder / "last.ckpt").is_file()

    def get(
        self,
        recipe: Recipe,
        build: Callable[[], nn.Module],
        data: pl.LightningDataModule,
        trainer: Callable[..., pl.Trainer],
    ) -> Trained:
        """The trained network: loaded when finished, continued when cut, else trained.

        `trainer` makes a Trainer from the extra callbacks that it is given; the network is the
        state after the last epoch.
        """
        folder = writable_folder(self.folder / recipe.key)
        pl.seed_everything(recipe.seed, workers=True, verbose=False)
        lr = float(recipe.training["lr"])
        module = Classifier(build(), lr=lr, name=recipe.name)
        if self.has(recipe):
            return self._load(module, folder)
        start = time.perf_counter()
        keep = pl.callbacks.ModelCheckpoint(
            dirpath=folder, filename="last", save_top_k=1, enable_version_counter=False
        )
        last = folder / "last.ckpt"
        module.train()
        trainer(callbacks=[keep]).fit(
            module, datamodule=data, ckpt_path=str(last) if last.is_file() else None
        )
        seconds = time.perf_counter() - start
        if not last.is_file():
            raise ConfigError(
                f"training {recipe.name!r} left no checkpoint, so nothing was trained. Take "
                "options like fast_dev_run, or limits of zero batches, out of trainer."
            )
        write_json(folder / "recipe.json", {**recipe.__dict__, "key": recipe.key})
        write_json(
            folder / "done.json", {"seconds": round(seconds, 2), "epochs": module.current_epoch}
        )
        return Trained(module.network.eval(), folder, seconds, reused=False)

    def _load(self, module: Classifier, folder: Path) -> Trained:
        state = torch.load(folder / "last.ckpt", map_location="cpu", weights_only=True)
        module.load_state_dict(state["state_dict"])
        done = json.loads((folder / "done.json").read_text())
        return Trained(module.network.eval(), folder, float(done["seconds"]), reused=True)
