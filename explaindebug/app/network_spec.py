"""Which network each domain has, and whether it is trained or taken as it is."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from torch import nn

from explaindebug.app.settings import Settings
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet
from explaindebug.debugtests.lab import Domain
from explaindebug.models.heads import head_outputs


@dataclass(frozen=True)
class Architecture:
    """The networks of one domain: of which kind, and what becomes of their weights."""

    options: Mapping[str, Any]  # what builds them
    train: bool  # False: their weights are taken as they are
    key: str  # the configuration's: "model" or "foreign_model"

    @classmethod
    def of(cls, settings: Settings, domain: Domain) -> "Architecture":
        """That of `foreign_model` for the foreign domain, where there is one; else of `model`."""
        own = domain == "foreign" and settings.foreign_model is not None
        key = "foreign_model" if own else "model"
        options = dict(getattr(settings, key))
        train = bool(options.pop("train", True))
        if domain == "foreign" and not own and options.get("name") == "bvd_cnn":
            options["weights"] = None  # a file of the other domain's classes
        return cls(options, train, key)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What of it decides trained weights: with the content of a file, not its name alone."""
        weights = self.options.get("weights")
        if weights is None or not Path(weights).is_file():
            return {}
        return {"weights": hashlib.sha256(Path(weights).read_bytes()).hexdigest()}

    @property
    def name(self) -> str:
        """What it is called: "resnet18"."""
        named = self.options.get("name") or str(self.options.get("_target_")).rpartition(".")[2]
        return str(named)

    @property
    def words(self) -> str:
        """For people: "squeezenet1_0 with the weights of IMAGENET1K_V1, as they are"."""
        weights = self.options.get("weights")
        start = f" with the weights of {weights}" if weights is not None else ""
        return f"{self.name}{start}, {'trained' if self.train else 'as they are'}"

    def build(self, images: ImageSet) -> nn.Module:
        """A fresh network for these classes: one logit for two of them, else one for each."""
        return self._build(images, outputs=_logits(images))

    def load(self, images: ImageSet, file: str) -> nn.Module:
        """The network of a file, with as many outputs as it has there."""
        return self._build(images, weights=file)

    def _build(self, images: ImageSet, **more: Any) -> nn.Module:
        channels, height, _ = images.size
        options = dict(self.options)
        if options.get("name") == "bvd_cnn":
            options.setdefault("channels", channels)
        network: nn.Module = instantiate(options, size=height, **more)
        return network

    def check_weights(self, images: ImageSet) -> None:
        """Refuse weights that are to be taken as they are and can't be.

        Raises:
            ConfigError: where there are none, or those of another number of classes.
        """
        if self.options.get("weights") is None:
            raise ConfigError(
                f"{self.key}.train=false takes the network's weights as they are, but there are "
                f"none: give {self.key}.weights, a file or IMAGENET1K_V1, or train it."
            )
        if not str(self.options.get("_target_")).startswith("explaindebug."):
            return  # a class of the user's own may not be built without being told its outputs
        own = head_outputs(self._build(images))
        if own != _logits(images):
            raise ConfigError(
                f"{self.key}.train=false takes the network's weights as they are, which have {own} "
                f"outputs, but the data has {len(images.classes)} classes. Take the data that they "
                f"were made for (data=imagenet), or set {self.key}.train=true."
            )


def _logits(images: ImageSet) -> int:
    return 1 if len(images.classes) == 2 else len(images.classes)
