"""The application's classifier: its loss, what it logs and for which inputs, and that it learns."""

import csv
import math
from pathlib import Path

import pytest
import torch
from striped_pictures import Striped
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from explaindebug._lightning import pl
from explaindebug.app.classifier import Classifier, cross_entropy, predictions
from explaindebug.models import create_model


class Told(nn.Module):
    """A network that returns its inputs (n, k, 1, 1) as logits."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def measured(logits: Tensor, *labels: Tensor) -> dict[str, float]:
    """What a test on these logits (n, k), three at a time, logs."""
    classifier = Classifier(Told(), name="net")
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    for told in labels:
        inputs = DataLoader(TensorDataset(logits[:, :, None, None], told), batch_size=3)
        trainer.test(classifier, inputs, verbose=False)
    return {key: float(value) for key, value in trainer.callback_metrics.items()}


ONE = torch.tensor([[2.0], [-1.0], [3.0], [-0.5]])  # of one logit: classes 1, 0, 1, 0
THREE = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 5, 0]])  # classes 0, 1, 2, 1


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:GPU available")
class TestLogged:
    @pytest.mark.parametrize(
        ("logits", "labels", "share"),
        [
            (ONE, [1, 0, 1, 0], 1.0),
            (ONE, [0, 1, 0, 1], 0.0),
            (ONE, [1, 0, 1, 1], 0.75),
            (THREE, [0, 1, 2, 1], 1.0),
            (THREE, [1, 1, 0, 2], 0.25),
        ],
    )
    def test_accuracy_is_the_share_that_is_right(
        self, logits: Tensor, labels: list[int], share: float
    ) -> None:
        found = measured(logits, torch.tensor(labels))
        assert found["net/test_accuracy"] == found["accuracy"] == pytest.approx(share)
        before = torch.tensor(labels).flip(0)
        assert measured(logits, before, before, torch.tensor(labels)) == found

    def test_loggers_get_what_a_validation_finds_and_nothing_of_a_test(
        self, tmp_path: Path
    ) -> None:
        logger = pl.loggers.CSVLogger(tmp_path)
        trainer = pl.Trainer(
            accelerator="cpu", logger=logger, enable_progress_bar=False, enable_model_summary=False
        )
        inputs = DataLoader(TensorDataset(ONE[:, :, None, None], torch.tensor([1, 0, 1, 1])))
        classifier = Classifier(Told(), name="net")
        for find in (trainer.validate, trainer.test):
            find(classifier, inputs, verbose=False)
        with open(Path(logger.log_dir) / "metrics.csv", newline="") as file:
            (logged,) = csv.DictReader(file)
        assert float(logged["net/val_accuracy"]) == 0.75
        assert set(logged) - {"epoch", "step"} == {"net/val_loss", "net/val_accuracy"}

    def test_metrics_are_in_no_checkpoint(self) -> None:
        network = nn.Linear(2, 2)
        held = Classifier(network).state_dict()
        assert set(held) == {f"network.{name}" for name in network.state_dict()}

    def test_the_loss_is_the_mean_over_inputs(self) -> None:
        labels = torch.tensor([1, 0, 0, 0])
        softplus = [math.log1p(math.exp(z)) for z in (-2.0, -1.0, 3.0, -0.5)]
        assert measured(ONE, labels)["net/test_loss"] == pytest.approx(sum(softplus) / 4)

    @pytest.mark.parametrize("logits", [ONE, torch.eye(4)[:, :2], THREE])
    def test_inputs_of_classes_that_a_network_does_not_have_have_no_accuracy(
        self, logits: Tensor
    ) -> None:
        foreign = torch.tensor([5, 3])
        assert measured(logits[2:4], foreign) == {}
        both = measured(logits[[0, 1, 1, 2, 3]], torch.tensor([0, 1, 1, 5, 3]))
        assert both == measured(logits[[0, 1, 1]], torch.tensor([0, 1, 1])) != {}


def test_cross_entropy_of_one_logit_is_that_of_two_of_which_the_first_is_nothing() -> None:
    logits, labels = ONE.double(), torch.tensor([1, 1, 0, 0])
    pairs = torch.cat([torch.zeros_like(logits), logits], 1)
    one, two = cross_entropy(logits, labels), cross_entropy(pairs, labels)
    assert float(one) == pytest.approx(float(two))
    right = cross_entropy(torch.tensor([[8.0], [-8.0]]), torch.tensor([1, 0]))
    assert right < 0.001 < cross_entropy(torch.tensor([[8.0], [-8.0]]), torch.tensor([0, 1]))


def test_predictions_are_made_in_eval_mode_and_leave_the_mode() -> None:
    network = nn.Sequential(nn.Dropout(0.9), Told()).train()
    assert predictions(network, THREE[:, :, None, None], chunk=3).tolist() == [0, 1, 2, 1]
    assert network.training


@pytest.mark.filterwarnings("ignore:GPU available")
def test_the_shipped_recipe_learns_the_right_classes() -> None:
    """Adam at the default rate under one cycle, and the network of the default configuration."""
    pl.seed_everything(0, workers=True, verbose=False)
    data = Striped(train=480, val=16, test=200, batch_size=48)
    network = create_model(
        "bvd_cnn", size=24, widths=[16, 32, 64, 64, 64], hidden=[128, 64], dropout=0.2
    )
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=12, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Classifier(network, lr=3e-3), datamodule=data)
    images, labels, _ = data.clean.test.batch(slice(None))
    with torch.no_grad():
        logits = network.eval()(images)[:, 0]
    assert ((logits > 0) == (labels == 1)).float().mean() > 0.9
    assert trainer.callback_metrics["model/train_loss"] < 0.4
