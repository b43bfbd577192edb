"""What stays in memory: after many calls of each method, cascades, and validations of a fit.

    python benchmarks/memory.py [--quick] [--json FILE] [--calls N] [--only NAME ...]

Megabytes by which the resident memory of the process has risen between the first quarter of the
calls and the last one, after a collection each; the "peer" is what allocators may take. The network
has 4 MB of weights, so that one copy of them per call would fill 800 MB in 200 calls.
"""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytorch_lightning as pl
import torch
from _bench import Bench, arguments, resident_mb
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from explaindebug.attributions import ATTRIBUTIONS, attribute
from explaindebug.attributions._engine.specs import all_names
from explaindebug.callbacks import HeatmapLogger, ReferenceSimilarity, ReinitCascade
from explaindebug.cascade import Cascade, cascade

NOISE = 10.0  # MB
FEW: dict[str, Any] = {"samples": 16, "steps": 2, "segmenter": {"grid": {"rows": 2, "columns": 2}}}


def network() -> nn.Module:
    """Little work, and 4 MB of weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 256, 1000), nn.ReLU(), nn.Linear(1000, 3),
    ).eval()  # fmt: skip


def spec(name: str) -> dict[str, dict[str, Any]]:
    """The method with few samples."""
    return {name: {f.name: FEW[f.name] for f in fields(ATTRIBUTIONS[name]) if f.name in FEW}}


class Module(pl.LightningModule):
    """Trains the network."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network().train()

    def forward(self, images: Tensor) -> Any:
        return self.network(images)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


class Watching(pl.Callback):
    """Resident memory after the first quarter of all validations, and after the last."""

    def __init__(self, validations: int) -> None:
        self.at = (validations // 4, validations)
        self.found: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch + 1 in self.at:
            self.found.append(resident_mb() or 0.0)


def called(call: Callable[[], object], calls: int) -> float:
    """Megabytes that the later calls leave."""
    for _ in range(calls // 4):
        call()
    before = resident_mb() or 0.0
    for _ in range(calls - calls // 4):
        call()
    return (resident_mb() or 0.0) - before


def validated(callback: pl.Callback, validations: int) -> float:
    """Megabytes that the later validations of a fit leave."""
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4) % 3
    batches = DataLoader(TensorDataset(images, labels), batch_size=4)
    watching = Watching(validations)
    with tempfile.TemporaryDirectory() as folder:
        pl.Trainer(
            max_epochs=validations,
            callbacks=[callback, watching],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        ).fit(Module(), batches, batches)
    before, after = watching.found
    return after - before


def main() -> None:
    """Measures methods, cascades and callbacks."""
    calls = {"type": int, "default": 200, "help": "of each method and callback (200)"}
    only = {"nargs": "+", "default": [], "help": "names of methods and callbacks; else all"}
    found = arguments(__doc__.splitlines()[0], calls=calls, only=only)
    bench = Bench("memory: megabytes that stay", found)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    n = 40 if found.quick else found.calls
    model, images, references = network(), torch.randn(2, 3, 16, 16), torch.randn(4, 3, 16, 16)

    def row(name: str, what: str, grown: Callable[[], float]) -> None:
        if name in found.only or not found.only:
            bench.compare(what, max(0.0, grown()), {"goal": NOISE}, 1.0)

    for name in all_names(references=True):

        def call(name: str = name) -> None:
            attribute(
                model, images, targets=0, methods=spec(name), references=references, workers=1
            )

        row(name, f"{n} calls of attribute, {name}", lambda call=call: called(call, n))
    few: dict[str, Any] = {"methods": ["grad", "gbp"], "pictures": 0, "how": Cascade(most=1)}
    for workers in (1, 2):

        def walk(workers: int = workers) -> None:
            cascade(model, images, workers=workers, **few)

        what = f"{n // 4} cascades, workers={workers}"
        row("cascade", what, lambda walk=walk: called(walk, n // 4))
    quick: dict[str, Any] = {"probe": 4, "pictures": 0, "similarities": ["spearman"], "nulls": []}
    callbacks = {
        "HeatmapLogger": HeatmapLogger(["grad", "gbp"], probe=2),
        "ReinitCascade": ReinitCascade(["grad"], most=1, **quick),
        "ReferenceSimilarity": ReferenceSimilarity(["grad"], reference=network(), **quick),
    }
    for name, callback in callbacks.items():
        what = f"{n} validations with {name}"
        row(name, what, lambda callback=callback: validated(callback, n))
    bench.finish()


if __name__ == "__main__":
    main()
