"""The application's classifier: what it logs, and of which inputs."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from explaindebug._lightning import pl
from explaindebug.app.classifier import Classifier


def measured(outputs: int, labels: Tensor) -> dict[str, float]:
    torch.manual_seed(0)
    classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(12, outputs)), name="net")
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    inputs = DataLoader(TensorDataset(torch.randn(4, 3, 2, 2)[: len(labels)], labels))
    trainer.test(classifier, inputs, verbose=False)
    return {key: float(value) for key, value in trainer.callback_metrics.items()}


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:GPU available")
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_inputs_of_classes_that_a_network_does_not_have_have_no_accuracy(outputs: int) -> None:
    known, foreign = torch.tensor([0, 1]), torch.tensor([5, 3])
    assert measured(outputs, known)["net/test_accuracy"] in (0, 0.5, 1)
    assert measured(outputs, foreign) == {}
    assert measured(outputs, torch.cat([known, foreign])) == measured(outputs, known)
