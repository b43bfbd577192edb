"""Lightning data modules: pictures clean and with a bug, batches, and a fixed probe."""

from explaindebug.datamodules.base import DebugDataModule
from explaindebug.datamodules.embedded import Embedded, Figures
from explaindebug.datamodules.mnist import MNIST, FashionMNIST
from explaindebug.datamodules.photos import Photos

__all__ = ["MNIST", "DebugDataModule", "Embedded", "FashionMNIST", "Figures", "Photos"]
