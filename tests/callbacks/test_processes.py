"""Any number of processes give the same scores as one, and none of them hangs."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from lightning_modules import Module, Network, loader, pictures, trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from explaindebug.callbacks import (
    Assertions,
    AttributionCallback,
    HeatmapLogger,
    ModelCheck,
    ReferenceSimilarity,
    ReinitCascade,
    SpuriousSimilarity,
)
from explaindebug.callbacks.ranks import together
from explaindebug.core.errors import AttributionError
from explaindebug.core.forecast import Cost
from explaindebug.evaluation.nulls import NULLS

METHODS = [{"sgrad": {"samples": 2}}, "gbp"]
Found = list[dict[str, Any]]  # what each process has found


class Noting(pl.Callback):
    """Writes the results of its process's callbacks to a file, for the parent to read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        ours = [x for x in trainer.callbacks if isinstance(x, AttributionCallback)]
        found = {
            "scores": [{key: tuple(column) for key, column in x.scores} for x in ours],
            "maps": [g.maps for x in ours for g in x.galleries],
            "metrics": {k: v for k, v in trainer.callback_metrics.items() if "seconds" not in k},
            "explained": [getattr(x, "explained", None) for x in ours],
            "reported": [x.reported for x in ours],
            "inputs": [x.state_dict()["inputs"] for x in ours],
            "weights": pl_module.state_dict(),
        }
        torch.save(found, self.path / f"{trainer.global_rank}.pt")


def run(
    path: Path, callbacks: Any, data: Any, *, fit: bool = False, devices: int = 1, **options: Any
) -> Found:
    """Validate (or fit) with callbacks on several processes; returns the results of each."""
    path.mkdir()
    pl.seed_everything(5, verbose=False)
    # Without `broadcast_buffers` each process keeps BatchNorm statistics of its own.
    fork = pl.strategies.DDPStrategy(start_method="fork", broadcast_buffers=False)
    strategy = {"devices": devices, "strategy": fork} if devices > 1 else {}
    module = options.pop("module", Module)()
    runner = trainer(path, [*callbacks, Noting(path)], **strategy, **options)
    with warnings.catch_warnings(action="ignore"):
        if fit:
            runner.fit(module, loader(), data)
        else:
            runner.validate(module, data, verbose=False)
    return [torch.load(path / f"{k}.pt", weights_only=False) for k in range(devices)]


def assert_same_scores(a: Any, b: Any) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys()
        for key, (rows, values) in one.items():
            np.testing.assert_array_equal(rows, other[key][0], err_msg=str(key))
            np.testing.assert_allclose(values, other[key][1], atol=1e-6, err_msg=str(key))


class Masked(Module):
    """Takes batches as mappings."""

    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch["image"]), batch["label"])


def masked(n: int) -> DataLoader[Any]:
    """Pictures with masks and scenes; their rows are not in order."""
    images, labels = pictures(n)
    mask = torch.zeros(n, 1, 16, 16, dtype=torch.bool)
    mask[..., 4:12, 4:12] = True
    rows = (torch.arange(n) * 5) % n
    columns = (images, labels, rows, ~mask, images * ~mask)
    fields = ("image", "label", "row", "signal", "scene")
    items = [dict(zip(fields, item, strict=True)) for item in zip(*columns, strict=True)]
    return DataLoader(items, batch_size=2)  # type: ignore[arg-type]


class TestScores:
    def test_two_and_three_processes_give_the_scores_of_one(self, tmp_path: Path) -> None:
        def found(devices: int) -> Found:
            shared: dict[str, Any] = {"strict": True, "pictures": 2, "nulls": list(NULLS)}
            pl.seed_everything(1, verbose=False)
            callbacks: list[Any] = [
                ReinitCascade(METHODS, probe=n, most=1, **shared) for n in (7, 1)
            ]
            callbacks.append(SpuriousSimilarity(["grad"], probe=7, control=Network(), **shared))
            callbacks.append(ReferenceSimilarity(["grad"], probe=9, reference=Network(), **shared))
            some: dict[str, Any] = {"probe": 7, "strict": True, "pictures": 2}
            asked = ["on_object", "stable", "class_sensitive"]
            old = Network()
            callbacks.append(Assertions(asked, method="grad", rate=0.5, reference=old, **some))
            near = [name for name in NULLS if not NULLS[name].of_neighbour]
            callbacks.append(ModelCheck(["grad"], probe=7, **(shared | {"nulls": near})))
            path = tmp_path / str(devices)
            return run(path, callbacks, masked(9), devices=devices, module=Masked)

        (one,) = found(1)
        for devices in (2, 3):
            for rank in found(devices):
                assert_same_scores(one["scores"], rank["scores"])
                assert one["metrics"].keys() == rank["metrics"].keys()
                for name, value in one["metrics"].items():
                    if name.startswith("debug/"):
                        torch.testing.assert_close(value, rank["metrics"][name], atol=1e-5, rtol=0)
                for a, b in zip(one["maps"], rank["maps"], strict=True):
                    for row, of in a.items():
                        for method, maps in of.items():
                            np.testing.assert_allclose(maps, b[row][method], atol=1e-4)

    def test_training_on_two_processes_is_bit_identical_and_all_explain_one_network(
        self, tmp_path: Path
    ) -> None:
        plain = run(tmp_path / "plain", [], loader(9), devices=2, fit=True)
        callbacks = [Explained(["grad"]), ReinitCascade(["gbp"], probe=5, strict=True)]
        watched = run(tmp_path / "watched", callbacks, loader(9), devices=2, fit=True)
        for a, b in zip(plain, watched, strict=True):
            for name, tensor in a["weights"].items():
                assert torch.equal(tensor, b["weights"][name]), name
        mean = "network.norm.running_mean"
        assert not torch.equal(*[rank["weights"][mean] for rank in watched])
        first, second = (rank["explained"][0] for rank in watched)
        assert torch.equal(first[mean], second[mean])
        assert torch.equal(first[mean], watched[0]["weights"][mean])
        assert_same_scores(watched[0]["scores"], watched[1]["scores"])


class Explained(HeatmapLogger):
    """Keeps the weights that it explained."""

    explained: Any = None

    def measure(self, network: nn.Module, *args: Any) -> Any:
        self.explained = {k: v.clone() for k, v in network.state_dict().items()}
        return super().measure(network, *args)


class OnOne(IterableDataset[Any]):
    """Pictures on one process only."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def __iter__(self) -> Iterator[Any]:
        there = torch.distributed.is_initialized()
        if not there or torch.distributed.get_rank() == self.rank:
            yield from zip(*pictures(6), strict=True)


class Different(Module):
    """Processes have statistics of their own, and the first one's weights are off, too."""

    def on_validation_start(self) -> None:
        if self.trainer.world_size > 1 and self.trainer.global_rank == 0:
            with torch.no_grad():
                for tensor in self.state_dict().values():
                    tensor += 1


class TestBudget:
    def test_the_slowest_process_decides_for_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def timed(*_: Any) -> Cost:
            slow = torch.distributed.is_initialized() and torch.distributed.get_rank() == 1
            return Cost(1.0, 1.0 if slow else 0.1)

        monkeypatch.setattr("explaindebug.callbacks.budget.timed", timed)
        callback = ReinitCascade(["grad"], probe=9, budget=2.0, most=1)
        two = run(tmp_path / "two", [callback], loader(9), devices=2)
        assert [rank["inputs"] for rank in two] == [[4], [4]]  # two on each
        assert_same_scores(two[0]["scores"], two[1]["scores"])
        assert all("first 4 are explained" in rank["reported"][0][0] for rank in two)


class TestNobodyWaitsForEver:
    @pytest.mark.parametrize("rank", [1])
    def test_a_process_without_a_batch_gets_the_weights_of_one_that_has(
        self, tmp_path: Path, rank: int
    ) -> None:
        data = DataLoader(OnOne(rank), batch_size=3)

        def found(devices: int) -> Found:
            callbacks = [ReinitCascade(["grad"], probe=4, most=2, strict=True), Explained(["grad"])]
            path = tmp_path / str(devices)
            # Read as they are: places of what one process alone has are even numbers.
            return run(path, callbacks, data, devices=devices, module=Different)

        (one,), two = found(1), found(2)
        assert two[0]["scores"][0].keys() == two[1]["scores"][0].keys() == one["scores"][0].keys()
        assert_same_scores(two[0]["scores"], two[1]["scores"])
        for process in two:
            for name, tensor in one["explained"][1].items():
                assert torch.equal(tensor, process["explained"][1][name]), name

    def test_a_failure_on_one_process_alone_is_told_by_all(self, tmp_path: Path) -> None:
        callback = FailingOnOne(["grad"], strict=True)
        with pytest.raises(Exception, match="rank 1: ValueError: odd"):
            run(tmp_path / "strict", [callback], loader(9), devices=2)

    def test_and_does_not_end_the_training(self, tmp_path: Path) -> None:
        callbacks = [FailingOnOne(["grad"]), UnreadableOnOne(["grad"]), HeatmapLogger(["grad"])]
        two = run(tmp_path / "lenient", callbacks, loader(9), devices=2, fit=True)
        for rank in two:
            assert "rank 1: ValueError: odd" in rank["reported"][0][0]
            assert "rank 1: TypeError: list indices" in rank["reported"][1][0]
            assert rank["reported"][2] == ()
            assert len(rank["maps"]) == 1

    def test_all_or_none(self) -> None:
        assert together(lambda: 3) == [3]
        with pytest.raises(AttributionError, match="ValueError: invalid literal"):
            together(lambda: int("no"))


class FailingOnOne(HeatmapLogger):
    """Fails on the second process."""

    def measure(self, network: nn.Module, probe: Any, explain: Any) -> Any:
        if torch.distributed.get_rank() == 1:
            raise ValueError("odd")
        return super().measure(network, probe, explain)


class UnreadableOnOne(HeatmapLogger):
    """Can't read the batches of the second process."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if trainer.global_rank == 1:
            self._intake.collector.unpack = lambda batch: batch["nothing"]  # type: ignore[index]
