"""Nothing stays in memory: after calls, cascades and validations, also those that fail."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from held import Held, held, left, only_new, risen
from lightning_modules import Module, pictures, trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformer_networks import Tiny, made

from explaindebug.attributions import ATTRIBUTIONS, attribute
from explaindebug.attributions._engine.specs import all_names
from explaindebug.callbacks import (
    Assertions,
    HeatmapLogger,
    ModelCheck,
    ReferenceSimilarity,
    ReinitCascade,
    SpuriousSimilarity,
)
from explaindebug.cascade import cascade
from explaindebug.core.errors import AttributionError, UnsupportedModelError
from explaindebug.report.maps.strips import lines

CALLS, CASCADES, VALIDATIONS = 200, 50, 200
GRID = {"grid": {"rows": 2, "columns": 2}}


def spec_of(name: str) -> dict[str, dict[str, Any]]:
    """The method with as little work as it can do."""
    least = {"samples": 16, "segmenter": GRID} if "segmenter" in _options(name) else {"samples": 2}
    return {name: {k: v for k, v in (least | {"steps": 2}).items() if k in _options(name)}}


def _options(name: str) -> set[str]:
    return {field.name for field in fields(ATTRIBUTIONS[name])}


METHODS = [*map(spec_of, all_names(references=True, transformers=True)),
           {"captum": {"name": "LayerGradCam"}}]  # fmt: skip


def network() -> nn.Module:
    """Little work, and 100 KB of weights that show when they stay."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * 64, 100), nn.ReLU(), nn.Linear(100, 3),
    ).eval()  # fmt: skip


def network_for(spec: Any) -> nn.Module:
    """The network, or a transformer of its images for methods that are for these alone."""
    if not ATTRIBUTIONS[next(iter(spec))].for_transformers:
        return network()
    return made(lambda: Tiny("module"))


class OneAtATime(nn.Module):
    """A network that fails in the middle of a pass once there are two images."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 256, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        if len(x) > 1:
            raise RuntimeError("one image at a time")
        return self.second(x.flatten(1))


IMAGES, _ = pictures(4)
REFERENCES, _ = pictures(6, seed=1)


def explain(model: nn.Module, methods: Any, **how: Any) -> None:
    attribute(model, IMAGES, targets=0, methods=methods, references=REFERENCES, **how)


def fail(model: nn.Module, methods: Any, **how: Any) -> None:
    with suppress(AttributionError, UnsupportedModelError):
        explain(model, methods, **how)
        pytest.fail("nothing went wrong")


@pytest.mark.parametrize("spec", METHODS, ids=lambda spec: next(iter(spec)))
def test_calls_of_a_method_leave_nothing(spec: Any) -> None:
    model = network_for(spec)
    assert not risen(lambda: explain(model, spec, workers=1), CALLS, model)


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_of_a_call_waits_for_the_collector(workers: int) -> None:
    for spec in METHODS:
        model = network_for(spec)
        call = partial(explain, model, spec, workers=workers, chunk=2)
        assert left(call) == 0, spec


def test_calls_with_workers_leave_nothing() -> None:
    model = network()
    some = [spec for spec in METHODS if next(iter(spec)) in ("grad", "egrad", "gbp", "lime")]
    assert not risen(lambda: explain(model, some, workers=2, chunk=2), CALLS, model)


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_that_fail_leave_nothing(workers: int) -> None:
    model = OneAtATime().eval()

    def call() -> None:
        fail(model, ["gbp", "lrp_eps"], workers=workers, chunk=2)

    assert not risen(call, CALLS, model)
    assert left(call) == 0


def test_calls_that_are_refused_leave_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU(), nn.Flatten(), nn.Linear(392, 3)).eval()

    def call() -> None:
        fail(model, ["gbp", "lrp_eps"])

    assert not risen(call, CALLS, model)
    assert left(call) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_cascades_leave_nothing(workers: int) -> None:
    model = network()

    def call() -> None:
        cascade(model, IMAGES, methods=["grad", "gbp"], workers=workers, pictures=1, chunk=2)

    assert not risen(call, CASCADES, model)
    assert left(call) == 0


def test_cascades_that_fail_leave_nothing() -> None:
    model = OneAtATime().eval()

    def call() -> None:
        with suppress(AttributionError):
            cascade(model, IMAGES, methods=["grad"], targets=0, workers=2, chunk=2)
            pytest.fail("nothing went wrong")

    assert not risen(call, CASCADES, model)


class Failing(HeatmapLogger):
    """Its measurement fails when there are maps already."""

    def measure(self, *args: Any) -> Iterator[Any]:
        yield from super().measure(*args)
        raise RuntimeError("no room for the maps")


def callbacks() -> dict[str, Any]:
    """Each callback, with little to do."""
    few: dict[str, Any] = {"attributions": ["grad", "gbp"], "probe": 4, "pictures": 1}
    quick: dict[str, Any] = few | {
        "attributions": ["grad"],
        "similarities": ["spearman"],
        "nulls": ["gaussian"],
    }
    with_networks: dict[str, Any] = {"reference": network(), "control": network()}
    return {
        "heatmaps": HeatmapLogger(few["attributions"], probe=2),
        "heatmaps with workers": HeatmapLogger(few["attributions"], probe=4, workers=2, chunk=1),
        "cascade": ReinitCascade(**quick, most=2),
        "spurious": SpuriousSimilarity(**quick, control=network()),
        "reference": ReferenceSimilarity(**quick | {"similarities": ["ssim"]}, **with_networks),
        "check": ModelCheck(**quick),
        "assertions": Assertions(["stable"], method="grad", rate=0.9, probe=4, pictures=1),
        "a failing one": Failing(few["attributions"], probe=2),
    }


class Batches(Module):
    """Takes batches as `SpuriousSimilarity` needs them."""

    def loss(self, batch: Any) -> Tensor:
        return super().loss((batch["image"], batch["label"]))


class Counting(pl.Callback):
    """Notes what is held after the first quarter of all validations, and after the last."""

    def __init__(self) -> None:
        self.validations = 0
        self.found: list[Held] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validations += 1
        if self.validations in (VALIDATIONS // 4, VALIDATIONS):
            self.found.append(held(pl_module))


@pytest.mark.parametrize("name", list(callbacks()))
@pytest.mark.filterwarnings("ignore:explaindebug. Failing measured nothing")
@pytest.mark.filterwarnings("ignore:explaindebug. .* not scored")
def test_validations_leave_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Charts, and writing them to files, take longer than all else; the next test is theirs.
    monkeypatch.setattr("explaindebug.callbacks.sinks.lines", lambda *_: blank)
    blank = np.zeros((2, 2, 3), np.uint8)
    images, labels = pictures(4)
    mask = torch.ones(4, 1, 16, 16, dtype=torch.bool)
    mask[..., 8:] = False
    columns = {"image": images, "label": labels, "signal": ~mask, "scene": images * ~mask}
    items = [{k: v[i] for k, v in columns.items()} for i in range(4)]
    batches, counting = DataLoader(items, batch_size=4), Counting()
    options = {"max_epochs": VALIDATIONS, "num_sanity_val_steps": 0}
    run = trainer(tmp_path, [callbacks()[name], counting], **options)
    with only_new():
        run.fit(Batches(network().train()), batches, batches)
    before, after = counting.found
    assert not after.risen(before)


def test_charts_leave_nothing() -> None:
    more = risen(lambda: lines([1, 2], {"a": [0.0, 1.0]}, "title", "x"), 20)
    assert more.keys() <= {"megabytes"}  # matplotlib fills caches of its own
