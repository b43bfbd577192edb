"""Small Lightning modules and data, as awkward as real ones."""

from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

SIDE, CLASSES = 16, 3


class Network(nn.Module):
    """Dropout, BatchNorm, an in-place and a re-used ReLU: all that watching could disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(8 * (SIDE // 4) ** 2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(self.relu(self.norm(self.conv1(images))), 2)
        x = F.max_pool2d(self.relu(self.conv2(x)), 2)
        return self.fc(self.drop(x.flatten(1)))


class Module(pl.LightningModule):
    """A training script's own module, which knows nothing of explanations."""

    def __init__(self, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = Network() if network is None else network

    def forward(self, images: Tensor) -> Any:
        return self.network(images)

    def loss(self, batch: Any) -> Tensor:
        images, labels = batch[0], batch[1]
        return F.cross_entropy(self(images), labels)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.loss(batch)

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        return self(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def pictures(n: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 16, 16) whose class is the colour channel that is brightest, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    images = torch.randn(n, 3, SIDE, SIDE, generator=generator)
    images[torch.arange(n), labels] += 1
    return images, labels


def loader(n: int = 24, *, shuffle: bool = False, workers: int = 0) -> DataLoader[Any]:
    """Batches of five of those images."""
    data = TensorDataset(*pictures(n))
    return DataLoader(data, batch_size=5, shuffle=shuffle, num_workers=workers)


def trainer(path: Any, callbacks: Any = (), **options: Any) -> pl.Trainer:
    """A Trainer that leaves nothing lying about."""
    quiet = {
        "max_epochs": 2,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "default_root_dir": path,
    }
    return pl.Trainer(callbacks=list(callbacks), **(quiet | options))
