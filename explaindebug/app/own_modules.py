"""LightningModules of somebody's project: trained by their own steps, on batches as they know."""

import inspect
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from explaindebug._lightning import MODULES, LightningDataModule, pl
from explaindebug.app.batch_form import BatchForm
from explaindebug.app.own_data import OwnData
from explaindebug.callbacks.networks import explained, logits
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet
from explaindebug.data.imageset import collate
from explaindebug.datamodules import DebugDataModule


def is_lightning(network: nn.Module) -> bool:
    """Whether it trains itself."""
    return isinstance(network, MODULES)


def logits_of(network: nn.Module) -> nn.Module:
    """What maps images to logits: of a LightningModule the part that has a `forward`."""
    return explained(network, None, None) if is_lightning(network) else network


def adopted(module: Any) -> Any:
    """The LightningModule as one of the package that trains here, if it is of the other one.

    What its class leaves as it was becomes that of our package: a trainer finds out by comparison
    which hooks a module has.
    """
    if isinstance(module, pl.LightningModule):
        return module
    kind, found = type(module), inspect.getattr_static
    (theirs,) = [one for one in MODULES if isinstance(module, one)]
    left = {
        name: found(pl.LightningModule, name)
        for name in dir(pl.LightningModule)
        if not name.startswith("__") and found(kind, name, None) is found(theirs, name, None)
    }
    module.__class__ = type(kind.__name__, (kind, pl.LightningModule), left)
    return module


def check_outputs(network: nn.Module, images: ImageSet, what: str, remedy: str) -> None:
    """Refuse a network that gives another number of logits than there are classes.

    Two classes may have one logit.

    Raises:
        ConfigError: with both numbers.
        UnsupportedModelError: where it gives no logits.
    """
    found = logits(network, images.batch(slice(0, 2)).image, chunk=2)
    outputs, classes = found.reshape(len(found), -1).shape[1], len(images.classes)
    if outputs != classes and not (outputs == 1 and classes == 2):
        raise ConfigError(
            f"{what} gives {outputs} outputs, but the data has {classes} classes "
            f"({', '.join(images.classes[:5])}{', ...' if classes > 5 else ''}). {remedy}"
        )


class Served(LightningDataModule):
    """A data module's batches in the form that the user's own data module gives them.

    Those of this package's data modules become lists of images and labels.
    """

    def __init__(self, data: DebugDataModule) -> None:
        super().__init__()
        self.data = data

    def setup(self, stage: str | None = None) -> None:
        """Read and contaminate the pictures."""
        self.data.setup(stage)

    def train_dataloader(self) -> DataLoader[Any]:
        """Training batches in a new order each epoch."""
        return self._formed(self.data.train_dataloader(), "train")

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation batches in order."""
        return self._formed(self.data.val_dataloader(), "val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Test batches in order."""
        return self._formed(self.data.test_dataloader(), "test")

    def _formed(self, loader: DataLoader[Any], split: str) -> DataLoader[Any]:
        own = self.data
        loader.collate_fn = Formed(own.form(split) if isinstance(own, OwnData) else BatchForm())
        return loader


class Formed:
    """Collates samples into batches of a form."""

    def __init__(self, form: BatchForm) -> None:
        self.form = form

    def __call__(self, batch: Any) -> Any:
        """The batch."""
        return self.form(collate(batch))
