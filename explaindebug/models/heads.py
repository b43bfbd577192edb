"""Find a model's output layer, and replace it by one with another number of outputs."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from explaindebug.core.errors import ConfigError, UnsupportedModelError


def find_head(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Name and module of the last dense or convolutional layer, in the order they are defined.

    Raises:
        UnsupportedModelError: if there is none.
    """
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if not found:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no nn.Linear or nn.Conv2d that could compute its logits."
        )
    return found[-1]


def head_outputs(model: nn.Module) -> int:
    """The number of logits."""
    _, head = find_head(model)
    return head.out_features if isinstance(head, nn.Linear) else head.out_channels


def replace_head(model: nn.Module, outputs: int) -> None:
    """Replace the head, in place, by a new one with `outputs` logits, unless it has as many.

    A ReLU after the head (SqueezeNet's) is removed with it: no logit could be negative, and one
    that starts below zero would never learn.

    Raises:
        ConfigError: for fewer than one output.
        UnsupportedModelError: if no head is found.
    """
    if outputs < 1:
        raise ConfigError(f"outputs={outputs}, but a model needs one logit or more.")
    if outputs == head_outputs(model):
        return
    reset = getattr(model, "reset_classifier", None)
    if reset is not None:  # timm's models know their own heads, of which there may be two
        reset(outputs)
        return
    name, old = find_head(model)
    model.set_submodule(name, _like(old, outputs))
    _drop_relu_after(model, name)


def fit_head(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the model's head, in place, as many outputs as it has in these weights."""
    last = state.get(f"{find_head(model)[0]}.weight")
    if last is not None:
        replace_head(model, len(last))


def _like(old: nn.Linear | nn.Conv2d, outputs: int) -> nn.Module:
    kept: dict[str, Any] = {"bias": old.bias is not None, "device": old.weight.device}
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, outputs, **kept)
    size: Any = (old.kernel_size, old.stride, old.padding)
    return nn.Conv2d(old.in_channels, outputs, *size, **kept)


def _drop_relu_after(model: nn.Module, name: str) -> None:
    path, _, own = name.rpartition(".")
    parent = model.get_submodule(path)
    after = list(parent._modules)[list(parent._modules).index(own) + 1 :]
    for sibling in after if isinstance(parent, nn.Sequential) else ():
        if isinstance(parent._modules[sibling], nn.ReLU):
            parent._modules[sibling] = nn.Identity()
