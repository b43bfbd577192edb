"""The network to explain: which part of a module, and which of its outputs are logits."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug._lightning import MODULES
from explaindebug.attributions.output_of import Output, OutputOf
from explaindebug.core.errors import (
    ConfigError,
    DataError,
    ExplainDebugError,
    UnsupportedModelError,
)
from explaindebug.core.isolation import private_copy
from explaindebug.core.registry import nearest
from explaindebug.models.weights import load_weights, own_part, read_weights

UNDEFINED_FORWARDS = (nn.Module.forward, *(module.forward for module in MODULES))


def explained(module: nn.Module, forward: str | None, output: Output | None) -> nn.Module:
    """The part of `module` that maps images to logits.

    For a LightningModule without a `forward`, it is the only child that has parameters.

    Raises:
        ConfigError: if `forward` is not the name of a submodule.
        UnsupportedModelError: if there is no `forward`, and no single child with parameters.
    """
    if forward is not None:
        try:
            network = module.get_submodule(forward)
        except AttributeError:
            names = [name for name, _ in module.named_children()]
            raise ConfigError(
                f"forward={forward!r} is not a submodule of {type(module).__name__}."
                f"{nearest(forward, names)} It has: {', '.join(names)}."
            ) from None
    else:
        network = module if _has_forward(module) else _only_child(module)
    return network if output is None else OutputOf(network, output)


def _has_forward(module: nn.Module) -> bool:
    return "forward" in vars(module) or type(module).forward not in UNDEFINED_FORWARDS


def _only_child(module: nn.Module) -> nn.Module:
    found = {n: child for n, child in module.named_children() if [*child.parameters()]}
    if len(found) != 1:
        raise UnsupportedModelError(
            f"{type(module).__name__} has no forward. Name the submodule that maps images to "
            f"logits with forward=; it has: {', '.join(found) or 'none with parameters'}."
        )
    return next(iter(found.values()))


def name_of(network: nn.Module) -> str:
    """The name of the user's class, not of a wrapper."""
    return type(network.network if isinstance(network, OutputOf) else network).__name__


def as_attached(network: nn.Module, trainer: Any) -> nn.Module:
    """Give a private copy, which has no trainer, what its `forward` may need from one.

    These are the current epoch and step, and logging methods that do nothing.
    """
    seen = {"current_epoch": trainer.current_epoch, "global_step": trainer.global_step}
    seen |= dict.fromkeys(("log", "log_dict"), lambda *_, **__: None)
    for module in network.modules():
        if isinstance(module, MODULES):
            kind = type(module)
            module.__class__ = type(kind.__name__, (kind,), seen)
    return network


def chosen_output(logits: Tensor, target: str) -> str:
    """Description of which of the outputs (n,) or (n, k) is explained."""
    count = 1 if logits.ndim == 1 else logits.shape[1]
    predicted = target == "predicted"
    if count == 1:
        return f"its output, times -1 {'where it is negative' if predicted else 'for label 0'}"
    return f"{'the largest' if predicted else 'that of the label'} of its {count} outputs"


def logits(network: nn.Module, images: Tensor, *, chunk: int) -> Tensor:
    """Logits (n, k) without gradients, a chunk of images at a time.

    Raises:
        UnsupportedModelError: if the network needs more than images, or does not return a tensor.
    """
    _check_signature(network)
    try:
        with torch.no_grad():
            parts: list[Any] = [network(x) for x in torch.split(images, chunk)]
    except ExplainDebugError:
        raise
    except Exception as error:
        raise UnsupportedModelError(
            f"{name_of(network)} fails on images {tuple(images.shape)} as {images.dtype} "
            f"({type(error).__name__}: {error}). Name a submodule that maps images to logits with "
            "forward=, or return images as forward expects them from unpack=."
        ) from error
    if not isinstance(parts[0], Tensor):
        found = list(parts[0]) if isinstance(parts[0], Mapping) else type(parts[0]).__name__
        raise UnsupportedModelError(
            f"{name_of(network)} returns {found}, not logits. Select them with output=."
        )
    return torch.cat(parts)


def _check_signature(network: nn.Module) -> None:
    inner = network.network if isinstance(network, OutputOf) else network
    signature = inspect.signature(inner.forward)
    try:
        signature.bind(None)
    except TypeError:
        raise UnsupportedModelError(
            f"{name_of(network)}.forward{signature} can't be called with images only, as a map "
            "needs. Name a submodule that takes images with forward=."
        ) from None


def as_floats(network: nn.Module, images: Tensor, device: torch.device) -> Tensor:
    """Images (n, c, h, w) as floats; integers are converted if the network's logits are the same.

    Raises:
        DataError: if they are not, as then the images are normalised before they reach the network.
    """
    if images.is_floating_point():
        return images
    few = images[:4].to(device)
    cause: Exception | None = None
    try:
        alike = torch.allclose(logits(network, few, chunk=1), logits(network, few.float(), chunk=1))
    except UnsupportedModelError as error:
        alike, cause = False, error
    if not alike:
        raise DataError(
            f"images are {images.dtype}, and {name_of(network)} treats them differently from the "
            "same values as floats, so they must be normalised before they reach it. Give the "
            "callback unpack=, a function from your batch to (images, labels), with images as "
            "forward gets them."
        ) from cause
    return images.float()


def from_checkpoint(path: str | Path, like: nn.Module) -> nn.Module:
    """A copy of `like` with the weights of a Lightning checkpoint or a state dict.

    Raises:
        DataError: for a file that is missing or can't be read.
        ConfigError: for weights of another architecture; pass the module itself instead.
    """
    twin = private_copy(like)
    model = twin.network if isinstance(twin, OutputOf) else twin
    load_weights(model, own_part(read_weights(path), model), path)
    return twin
