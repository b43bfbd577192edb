"""Discs against squares, in plain Lightning; the lines that end in `# +` are explaindebug's.

    python examples/lightning_script.py --epochs 5

Heat maps and curves are under `lightning_logs/version_0/debug/`.
"""

import argparse

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from explaindebug.callbacks import HeatmapLogger, ReinitCascade  # +

SIDE = 24


def shapes(n, seed):
    """Noisy pictures (n, 3, 24, 24) of discs (0) and squares (1) in random places and colours."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    places = torch.randint(7, SIDE - 7, (n, 2, 1, 1), generator=generator)
    down, right = (y - places[:, 0]).abs(), (x - places[:, 1]).abs()
    labels = torch.arange(n) % 2
    square = (torch.maximum(down, right) < 5).float()
    disc = ((down**2 + right**2) < 36).float()
    shape = torch.where(labels[:, None, None] == 1, square, disc)[:, None]
    colour = torch.rand(n, 3, 1, 1, generator=generator) + 0.5
    return shape * colour + 0.3 * torch.randn(n, 3, SIDE, SIDE, generator=generator), labels


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
        )  # fmt: skip
        self.head = nn.Linear(32 * 9, 2)

    def forward(self, images):
        return self.head(self.features(images).flatten(1))

    def training_step(self, batch, _):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, _):
        accuracy = (self(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("accuracy", accuracy, prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=1000)
    options = parser.parse_args()
    pl.seed_everything(0)
    trainer = pl.Trainer(
        max_epochs=options.epochs,
        accelerator="cpu",
        logger=CSVLogger("."),
        callbacks=[  # +
            HeatmapLogger(["grad", "gbp"], classes=["disc", "square"]),  # +
            ReinitCascade(["grad", "gbp"], probe=16, every_n_epochs=options.epochs),  # +
        ],  # +
    )
    data = TensorDataset(*shapes(options.pictures, 0))
    trainer.fit(
        Classifier(),
        DataLoader(data, batch_size=50, shuffle=True),
        DataLoader(TensorDataset(*shapes(100, 1)), batch_size=50),
    )


if __name__ == "__main__":
    main()
