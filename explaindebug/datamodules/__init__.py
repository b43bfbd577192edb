"""Lightning data modules: clean and buggy pictures, batches, and a fixed probe."""

from explaindebug.datamodules.animals import CUB200, BirdsDogs, OxfordPets, StanfordDogs
from explaindebug.datamodules.base import DebugDataModule
from explaindebug.datamodules.breeds import DogBreeds
from explaindebug.datamodules.embedded import Embedded, Figures
from explaindebug.datamodules.groups import Groups
from explaindebug.datamodules.imagenet import ImageNet
from explaindebug.datamodules.mnist import KMNIST, MNIST, FashionMNIST
from explaindebug.datamodules.photos import Photos

__all__ = [
    "CUB200",
    "KMNIST",
    "MNIST",
    "BirdsDogs",
    "DebugDataModule",
    "DogBreeds",
    "Embedded",
    "FashionMNIST",
    "Figures",
    "Groups",
    "ImageNet",
    "OxfordPets",
    "Photos",
    "StanfordDogs",
]
