"""The layer that gives the logits: found, and exchanged for one with other outputs."""

from typing import Any

from torch import nn

from explaindebug.core.errors import ConfigError, UnsupportedModelError


def find_head(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Name and module of the last dense or convolutional layer, in the order they are defined.

    Raises:
        UnsupportedModelError: where there is none.
    """
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if not found:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no nn.Linear or nn.Conv2d that could give its logits."
        )
    return found[-1]


def head_outputs(model: nn.Module) -> int:
    """How many logits the head gives."""
    _, head = find_head(model)
    return head.out_features if isinstance(head, nn.Linear) else head.out_channels


def replace_head(model: nn.Module, outputs: int) -> None:
    """Exchange the head, in place, for a fresh one with `outputs` logits; a fitting one stays.

    A ReLU behind the head (SqueezeNet's) goes with it: no logit could be negative, and one that
    starts below zero would never learn.

    Raises:
        ConfigError: for fewer than one output.
        UnsupportedModelError: where no head is found.
    """
    if outputs < 1:
        raise ConfigError(f"outputs={outputs}: a model needs one logit or more.")
    if outputs == head_outputs(model):
        return
    reset = getattr(model, "reset_classifier", None)
    if reset is not None:  # timm's models know their heads, also where there are two
        reset(outputs)
        return
    name, old = find_head(model)
    model.set_submodule(name, _like(old, outputs))
    _drop_relu_behind(model, name)


def _like(old: nn.Linear | nn.Conv2d, outputs: int) -> nn.Module:
    kept: dict[str, Any] = {"bias": old.bias is not None, "device": old.weight.device}
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, outputs, **kept)
    size: Any = (old.kernel_size, old.stride, old.padding)
    return nn.Conv2d(old.in_channels, outputs, *size, **kept)


def _drop_relu_behind(model: nn.Module, name: str) -> None:
    path, _, own = name.rpartition(".")
    parent = model.get_submodule(path)
    behind = list(parent._modules)[list(parent._modules).index(own) + 1 :]
    for sibling in behind if isinstance(parent, nn.Sequential) else ():
        if isinstance(parent._modules[sibling], nn.ReLU):
            parent._modules[sibling] = nn.Identity()
