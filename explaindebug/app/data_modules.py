"""The pictures of a run: a data module for each domain."""

from collections.abc import Iterable
from dataclasses import dataclass

from hydra.utils import instantiate
from torch import Tensor

from explaindebug.app.progress import counting
from explaindebug.app.settings import Settings
from explaindebug.bugs.base import DataBug
from explaindebug.data import ImageSet
from explaindebug.datamodules import DebugDataModule
from explaindebug.debugtests.lab import Domain

REFERENCES = 128  # training pictures for methods that need references


@dataclass(frozen=True)
class DataModules:
    """The data modules of both domains, without any bug."""

    data: DebugDataModule
    foreign: DebugDataModule

    @classmethod
    def of(cls, settings: Settings) -> "DataModules":
        """From the settings; they show the progress of reading and downloading on the console."""
        own: DebugDataModule = instantiate(settings.data, _convert_="all")
        foreign: DebugDataModule = instantiate(settings.foreign, _convert_="all")
        for module in (own, foreign):
            for name, what in (("progress", "reading pictures"), ("fetching", "fetching data")):
                if hasattr(module, name):
                    setattr(module, name, counting(what))
        return cls(own, foreign)

    def __call__(self, domain: Domain = "data", bug: DataBug | None = None) -> DebugDataModule:
        """A domain's data module, with or without a bug; both share their clean pictures."""
        module = {"data": self.data, "foreign": self.foreign}[domain]
        return module if bug is None else module.with_bug(bug)

    def training(self, domain: Domain) -> ImageSet:
        """A domain's clean training pictures."""
        return self(domain).clean.train

    def references(self, domain: Domain) -> Tensor:
        """The first training pictures (m, c, h, w), for methods that need references."""
        return self.training(domain).batch(slice(0, REFERENCES)).image

    def describe(self, domains: Iterable[Domain] = ("data", "foreign")) -> str:
        """A short description of the data of these domains."""
        parts = []
        for module in map(self, domains):
            train, val, test = module.clean
            _, h, w = train.size
            counts = f"{len(train)} + {len(val)} + {len(test)} pictures of {h} x {w} px"
            parts.append(f"{type(module).__name__}: {counts}, {len(train.classes)} classes")
        return "; ".join(parts)


def classes_of(images: ImageSet) -> dict[int, str]:
    """The true class of each picture, by its row."""
    pairs = zip(images.indices.tolist(), images.truth.tolist(), strict=True)
    return {row: images.classes[label] for row, label in pairs}


def true_colours(image: Tensor, images: ImageSet) -> Tensor:
    """A normalised image (c, h, w) in its original values, [0, 1]."""
    mean, std = (image.new_tensor(v).view(-1, 1, 1) for v in (images.mean, images.std))
    return image * std + mean
