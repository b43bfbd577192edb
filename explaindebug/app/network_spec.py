"""Which network each domain has, and whether it is trained or taken as it is."""

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from torch import nn

from explaindebug.app.own_targets import (
    check_arguments,
    is_module,
    located,
    parameters,
)
from explaindebug.app.own_training import OwnTraining, source_of
from explaindebug.app.settings import Settings
from explaindebug.app.typed import is_own
from explaindebug.core.errors import ConfigError
from explaindebug.data import ImageSet
from explaindebug.debugtests.lab import Domain
from explaindebug.models.heads import fit_head, head_outputs
from explaindebug.models.weights import load_weights, own_part, read_weights

FILLED = ("outputs", "num_classes", "size")  # arguments that the data say


@dataclass(frozen=True)
class Architecture:
    """The networks of one domain: of which kind, and what becomes of their weights."""

    options: Mapping[str, Any]  # what builds them
    train: bool  # False: their weights are taken as they are
    key: str  # the configuration's: "model" or "foreign_model"
    training: OwnTraining | None = None  # who trains them, where it is not done here

    @classmethod
    def of(cls, settings: Settings, domain: Domain) -> "Architecture":
        """That of `foreign_model` for the foreign domain, where there is one; else of `model`."""
        own = domain == "foreign" and settings.foreign_model is not None
        key = "foreign_model" if own else "model"
        options = dict(getattr(settings, key))
        train = bool(options.pop("train", True))
        training = OwnTraining.of(key, options)
        for name in ("train_command", "trainer"):
            options.pop(name, None)
        if is_own(options.get("_target_")):
            check_arguments(key, options, FILLED)
        if domain == "foreign" and not own and options.get("name") == "bvd_cnn":
            options["weights"] = None  # a file of the other domain's classes
        return cls(options, train, key, training)

    @property
    def own(self) -> bool:
        """Whether the network is a class of the user's own."""
        return is_own(self.options.get("_target_"))

    @cached_property
    def lightning(self) -> bool:
        """Whether it is a LightningModule, which says by itself how it is trained."""
        return self.own and is_module(str(self.options["_target_"]))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What of it decides trained weights: with the content of a file, not its name alone."""
        weights = self.options.get("weights")
        found: dict[str, Any] = {}
        if weights is not None and Path(weights).is_file():
            found["weights"] = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
        if self.lightning:
            found |= source_of(located(str(self.options["_target_"])))
        if self.training is not None:
            found["training"] = self.training.identity
        return found

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
        """A fresh network for these classes: one logit for two of them, else one for each.

        A class of the user's own is told sizes that it asks for; a LightningModule, whose loss is
        its own, has as many outputs as it has by itself, or one per class where it must be told.
        """
        return self._build(images, outputs=_logits(images))

    def load(self, images: ImageSet, file: str | Path) -> nn.Module:
        """The network of a file, with as many outputs as it has there.

        Raises:
            ConfigError, DataError: for a file that can't be read, or is of another network.
        """
        if not self.own:
            return self._build(images, weights=str(file))
        network = self.build(images)
        state = own_part(read_weights(file), network)
        fit_head(network, state)
        load_weights(network, state, file)
        return network

    def _build(self, images: ImageSet, **more: Any) -> nn.Module:
        channels, height, _ = images.size
        options, sizes = dict(self.options), {"size": height, **more}
        if options.get("name") == "bvd_cnn":
            options.setdefault("channels", channels)
        if self.own:
            sizes = self._asked(images, sizes)
        network: nn.Module = instantiate(options, **sizes)
        return network

    def _asked(self, images: ImageSet, sizes: dict[str, Any]) -> dict[str, Any]:
        """Those of the sizes that the user's class asks for and is not told."""
        known = parameters(str(self.options["_target_"]))
        anything = any(p.kind is p.VAR_KEYWORD for p in known.values())
        if self.lightning:
            sizes = {k: v for k, v in sizes.items() if k != "outputs"}
            anything = False
        sizes |= {
            name: len(images.classes)
            for name in ("outputs", "num_classes")
            if name in known
            and known[name].default is inspect.Parameter.empty
            and name not in sizes
        }
        return {
            k: v for k, v in sizes.items() if (k in known or anything) and k not in self.options
        }

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
        if self.own:
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
