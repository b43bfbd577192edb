from .animals import CUB200 as CUB200
from .animals import BirdsDogs as BirdsDogs
from .animals import OxfordPets as OxfordPets
from .animals import StanfordDogs as StanfordDogs
from .base import DebugDataModule as DebugDataModule
from .breeds import DogBreeds as DogBreeds
from .embedded import Embedded as Embedded
from .embedded import Figures as Figures
from .groups import Groups as Groups
from .imagenet import ImageNet as ImageNet
from .mnist import KMNIST as KMNIST
from .mnist import MNIST as MNIST
from .mnist import FashionMNIST as FashionMNIST
from .photos import Photos as Photos

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
