"""The pictures of a run: a data module for each domain."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra.utils import instantiate
from torch import Tensor

from explaindebug.app.own_data import OwnData
from explaindebug.app.own_targets import check_arguments, keeps_all, parameters
from explaindebug.app.progress import counting
from explaindebug.app.settings import Settings
from explaindebug.app.typed import is_own
from explaindebug.bugs.base import DataBug
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet
from explaindebug.datamodules import DebugDataModule
from explaindebug.debugtests.lab import Domain

REFERENCES = 128  # training pictures for methods that need references


@dataclass(frozen=True)
class DataModules:
    """The data modules of both domains, without any bug."""

    data: DebugDataModule
    foreign: DebugDataModule
    unsized: dict[str, Any] | None = None  # the foreign ones' options, if some are to be the data's

    @classmethod
    def of(cls, settings: Settings) -> "DataModules":
        """From the settings; they show the progress of reading and downloading on the console."""
        own = built(settings.data, "data")
        foreign = built(settings.foreign, "foreign")
        unsized = isinstance(own, OwnData) and not {"size", "normalise"} <= {*settings.foreign}
        for module in (own, foreign):
            for name, what in (("progress", "reading pictures"), ("fetching", "fetching data")):
                if hasattr(module, name):
                    setattr(module, name, counting(what))
        return cls(own, foreign, dict(settings.foreign) if unsized else None)

    def __call__(self, domain: Domain = "data", bug: DataBug | None = None) -> DebugDataModule:
        """A domain's data module, with or without a bug; both share their clean pictures."""
        module = self.data if domain == "data" else self._sized
        return module if bug is None else module.with_bug(bug)

    @cached_property
    def _sized(self) -> DebugDataModule:
        if self.unsized is None:
            return self.foreign
        like = self.data.clean.train
        how = {"mean": list(like.mean), "std": list(like.std)}
        return built({"size": like.size[1], "normalise": how, **self.unsized}, "foreign")

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
            name = module.title if isinstance(module, OwnData) else type(module).__name__
            parts.append(f"{name}: {counts}, {len(train.classes)} classes")
        return "; ".join(parts)


def built(node: Mapping[str, Any], key: str) -> DebugDataModule:
    """The data module that a node of the configuration builds.

    A LightningDataModule of the user's own is wrapped; those of the node's keys that its
    constructor does not take are the wrapper's.

    Raises:
        ConfigError: for a target that is no data module, and for arguments that it lacks.
    """
    target = str(node["_target_"])
    if not is_own(target) or keeps_all(target):
        made: DebugDataModule = instantiate(node, _convert_="all")
        return made
    known = parameters(target)
    anything = any(p.kind is p.VAR_KEYWORD for p in known.values())
    theirs = {k: v for k, v in node.items() if k in known or k.startswith("_") or anything}
    check_arguments(key, theirs)
    module = instantiate(theirs, _convert_="all")
    if not hasattr(module, "train_dataloader"):
        raise ConfigError(
            f"{key}._target_={target} builds a {type(module).__name__}, which is no "
            "LightningDataModule: it needs train_dataloader, val_dataloader and test_dataloader."
        )
    return OwnData(module, **{k: v for k, v in node.items() if k not in theirs})


def classes_of(images: ImageSet) -> dict[int, str]:
    """The true class of each picture, by its row."""
    pairs = zip(images.indices.tolist(), images.truth.tolist(), strict=True)
    return {row: images.classes[label] for row, label in pairs}


def true_colours(image: Tensor, images: ImageSet) -> Tensor:
    """A normalised image (c, h, w) in its original values, [0, 1]."""
    mean, std = (image.new_tensor(v).view(-1, 1, 1) for v in (images.mean, images.std))
    return image * std + mean
