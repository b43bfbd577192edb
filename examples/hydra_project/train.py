"""A Hydra project that puts explaindebug's callback configs beside its own.

cd examples/hydra_project
python train.py
python train.py callbacks=heatmaps callbacks.heatmaps.attributions=[grad,intgrad]
"""

import hydra
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Project(pl.LightningModule):
    """Tells whether the square in the middle is darker or lighter than the rest."""

    def __init__(self, lr):
        super().__init__()
        self.lr = lr
        self.network = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 2)
        )

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, _):
        return F.cross_entropy(self(batch["image"]), batch["label"])

    def validation_step(self, batch, _):
        accuracy = (self(batch["image"]).argmax(1) == batch["label"]).float().mean()
        self.log("accuracy", accuracy, prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def loader(n, seed, shuffle=False):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 1, 16, 16, generator=generator)
    labels = torch.arange(n) % 2
    images[..., 5:11, 5:11] += (2.0 * labels - 1)[:, None, None, None]

    def collate(rows):
        image, label = (torch.stack(column) for column in zip(*rows, strict=True))
        return {"image": image, "label": label}

    data = TensorDataset(images, labels)
    return DataLoader(data, batch_size=50, shuffle=shuffle, collate_fn=collate)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    pl.seed_everything(0)
    callbacks = [instantiate(node, _convert_="all") for node in config.callbacks.values()]
    trainer = instantiate(config.trainer, callbacks=callbacks)
    trainer.fit(Project(config.lr), loader(config.pictures, 0, shuffle=True), loader(100, 1))


if __name__ == "__main__":
    main()
