"""Which network is explained, and the errors for those that can't be."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_modules import Module, Network, loader, pictures, trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from explaindebug._lightning import PACKAGES
from explaindebug.callbacks import HeatmapLogger, ReinitCascade
from explaindebug.callbacks.networks import as_floats, explained, logits
from explaindebug.core.errors import AttributionError, DataError, UnsupportedModelError

CPU = torch.device("cpu")


class Scaled(nn.Module):
    def __init__(self, *, only_bytes: bool = False) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 2)
        self.only_bytes = only_bytes

    def forward(self, x: Tensor) -> Any:
        if self.only_bytes and x.is_floating_point():
            return self.fc(x.flatten(1))
        return self.fc(x.float().flatten(1) / 255)


class TestWithoutForward:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_the_only_child_with_parameters_is_explained(self, package: str) -> None:
        module = pytest.importorskip(package).LightningModule()
        module.loss, module.backbone = nn.CrossEntropyLoss(), nn.Linear(2, 2)
        assert explained(module, None, None) is module.backbone

    def test_several_are_named(self) -> None:
        module = pl.LightningModule()
        module.encoder, module.head = nn.Linear(2, 2), nn.Linear(2, 2)
        with pytest.raises(UnsupportedModelError, match=r"forward=.*encoder, head"):
            explained(module, None, None)

    def test_one_that_an_instance_has_counts(self) -> None:
        module = pl.LightningModule()
        module.encoder, module.forward = nn.Linear(2, 2), lambda x: x  # type: ignore[method-assign]
        assert explained(module, None, None) is module


class TestIntegers:
    def test_a_network_that_scales_them_takes_them_as_floats(self) -> None:
        images = torch.randint(0, 256, (5, 3, 2, 2), dtype=torch.uint8)
        assert torch.equal(as_floats(Scaled(), images, CPU), images.float())

    @pytest.mark.parametrize("network", [Scaled(only_bytes=True), nn.Conv2d(3, 1, 2)])
    def test_others_are_refused(self, network: nn.Module) -> None:
        images = torch.randint(0, 256, (5, 3, 2, 2), dtype=torch.uint8)
        with pytest.raises(DataError, match=r"uint8.*unpack="):
            as_floats(network, images, CPU)


@pytest.mark.parametrize("forward", [lambda x, meta: x, lambda *, images: images])
def test_a_forward_that_takes_more_than_images(forward: Any) -> None:
    network = nn.Linear(2, 2)
    network.forward = forward
    with pytest.raises(UnsupportedModelError, match="forward="):
        logits(network, torch.ones(1, 2), chunk=1)


class TestLabelsThatAreNoClasses:
    @pytest.fixture
    def data(self) -> DataLoader[Any]:
        images, labels = pictures(6)
        return DataLoader(TensorDataset(images, labels / 7), batch_size=3)

    class Summing(Module):
        def loss(self, batch: Any) -> Tensor:
            return self(batch[0]).sum()

    def test_it_is_said_what_is_explained(self, tmp_path: Any, data: Any, capsys: Any) -> None:
        callback = HeatmapLogger(["grad"], strict=True)
        trainer(tmp_path, [callback]).fit(self.Summing(), data, data)
        assert callback.explains == "Summing: the largest of its 3 outputs (no label is a class)"
        assert callback.explains in capsys.readouterr().out
        assert set(callback.galleries[0].captions) == {"no class"}

    @pytest.mark.parametrize("kind", [HeatmapLogger, ReinitCascade])
    def test_they_cannot_be_explained(self, tmp_path: Any, data: Any, kind: Any) -> None:
        callback = kind(["grad"], target="label", strict=True)
        with pytest.raises(AttributionError, match="target='predicted'"):
            trainer(tmp_path, [callback]).validate(self.Summing(), data, verbose=False)


def test_a_forward_may_depend_on_the_epoch_and_log(tmp_path: Any) -> None:
    class Ageing(Module):
        def forward(self, images: Tensor) -> Any:
            self.log("age", float(self.current_epoch))
            return super().forward(images) * (1 + self.current_epoch + self.global_step)

    class Noting(HeatmapLogger):
        factors: list[float] = []  # noqa: RUF012

        def measure(self, network: Any, probe: Any, explain: Any) -> Any:
            plain = network.network(probe.image)
            self.factors.append(round((network(probe.image) / plain).mean().item()))
            return super().measure(network, probe, explain)

    callback = Noting(["grad"], strict=True, workers=2)
    run = trainer(tmp_path, [callback], num_sanity_val_steps=0)
    run.fit(Ageing(Network()), loader(10), loader(10))
    assert callback.factors == [1 + 0 + 2, 1 + 1 + 4]  # two batches an epoch
    assert run.callback_metrics["age"] == 1
