"""Which network each domain has, and whether it is trained or used with its given weights."""

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
    """The kind of network of one domain, and whether it is trained."""

    options: Mapping[str, Any]  # the configuration's node that builds it
    train: bool  # False: its weights are used as they are
    key: str  # in the configuration: "model" or "foreign_model"

    @classmethod
    def of(cls, settings: Settings, domain: Domain) -> "Architecture":
        """From `foreign_model` for the foreign domain, if it is set; otherwise from `model`."""
        own = domain == "foreign" and settings.foreign_model is not None
        key = "foreign_model" if own else "model"
        options = dict(getattr(settings, key))
        train = bool(options.pop("train", True))
        if domain == "foreign" and not own and options.get("name") == "bvd_cnn":
            options["weights"] = None  # a file would be for the other domain's classes
        return cls(options, train, key)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Hash of the file with the initial weights, if any, as its name alone may not change."""
        weights = self.options.get("weights")
        if weights is None or not Path(weights).is_file():
            return {}
        return {"weights": hashlib.sha256(Path(weights).read_bytes()).hexdigest()}

    @property
    def words(self) -> str:
        """For display: "squeezenet1_0 with the weights of IMAGENET1K_V1, as they are"."""
        name = self.options.get("name") or str(self.options.get("_target_")).rpartition(".")[2]
        weights = self.options.get("weights")
        start = f" with the weights of {weights}" if weights is not None else ""
        return f"{name}{start}, {'trained' if self.train else 'as they are'}"

    def build(self, images: ImageSet) -> nn.Module:
        """A new network for these classes: one logit for two classes, otherwise one per class."""
        return self._build(images, outputs=_logits(images))

    def _build(self, images: ImageSet, **more: Any) -> nn.Module:
        channels, height, _ = images.size
        options = dict(self.options)
        if options.get("name") == "bvd_cnn":
            options.setdefault("channels", channels)
        network: nn.Module = instantiate(options, size=height, **more)
        return network

    def check_weights(self, images: ImageSet) -> None:
        """Refuse weights that can't be used as they are.

        Raises:
            ConfigError: if there are none, or they are for another number of classes.
        """
        if self.options.get("weights") is None:
            raise ConfigError(
                f"{self.key}.train=false uses the network's weights as they are, but there are "
                f"none: set {self.key}.weights to a file or IMAGENET1K_V1, or train the network."
            )
        if not str(self.options.get("_target_")).startswith("explaindebug."):
            return  # a user's class may need the number of outputs
        own = head_outputs(self._build(images))
        if own != _logits(images):
            raise ConfigError(
                f"{self.key}.train=false uses the network's weights as they are. They have {own} "
                f"outputs, but the data has {len(images.classes)} classes. Use the data that they "
                f"were trained on (data=imagenet), or set {self.key}.train=true."
            )


def _logits(images: ImageSet) -> int:
    return 1 if len(images.classes) == 2 else len(images.classes)
