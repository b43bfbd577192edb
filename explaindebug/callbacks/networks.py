"""Which network is explained, and how it gives its logits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug.errors import ConfigError, UnsupportedModelError
from explaindebug.models.weights import load_weights, own_part, read_weights
from explaindebug.registry import nearest
from explaindebug.watching import private_copy


class LogitsOf(nn.Module):
    """A network that returns a mapping or a tuple, cut down to its logits."""

    def __init__(self, network: nn.Module, output: str | int) -> None:
        super().__init__()
        self.network = network
        self.output = output

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, k) of images (n, c, h, w)."""
        result = self.network(images)
        try:
            logits = result[self.output]
        except (KeyError, IndexError, TypeError):
            logits = getattr(result, str(self.output), None)
        if not isinstance(logits, Tensor):
            found = list(result) if isinstance(result, Mapping) else type(result).__name__
            raise ConfigError(f"output={self.output!r} names no tensor; the network gives {found}.")
        return logits


def explained(module: nn.Module, forward: str | None, output: str | int | None) -> nn.Module:
    """The part of `module` that maps images to logits.

    Raises:
        ConfigError: where `forward` is not the name of a submodule.
    """
    network = module
    if forward is not None:
        try:
            network = module.get_submodule(forward)
        except AttributeError:
            names = [name for name, _ in module.named_children()]
            raise ConfigError(
                f"forward={forward!r} is no submodule of {type(module).__name__}."
                f"{nearest(forward, names)} It has: {', '.join(names)}."
            ) from None
    return network if output is None else LogitsOf(network, output)


def logits(network: nn.Module, images: Tensor, *, chunk: int) -> Tensor:
    """Logits (n, k) without gradients, a chunk of images at a time.

    Raises:
        UnsupportedModelError: where the network gives something else than a tensor.
    """
    with torch.no_grad():
        parts: list[Any] = [network(x) for x in torch.split(images, chunk)]
    if not isinstance(parts[0], Tensor):
        found = list(parts[0]) if isinstance(parts[0], Mapping) else type(parts[0]).__name__
        raise UnsupportedModelError(
            f"{type(network).__name__} gives {found}, not logits. Name them with output=."
        )
    return torch.cat(parts)


def from_checkpoint(path: str | Path, like: nn.Module) -> nn.Module:
    """A copy of `like` with the weights of a Lightning checkpoint or a state dict.

    Raises:
        DataError: for a file that is missing or can't be read.
        ConfigError: for weights of another architecture: give the module itself for those.
    """
    twin = private_copy(like)
    model = twin.network if isinstance(twin, LogitsOf) else twin
    load_weights(model, own_part(read_weights(path), model), path)
    return twin
