"""Detect a final softmax or sigmoid, and remove it where possible: logits are explained."""

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import undisturbed

MODULES = (nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Sigmoid, nn.LogSigmoid)
ACTIVATIONS = {"Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid"}  # as autograd calls them
# Operations that may follow the last activation without changing a value:
RESHAPES = {"View", "UnsafeView", "Squeeze", "Unsqueeze", "Alias", "Clone", "ToCopy", "Select"}
RESHAPES |= {"Slice", "Transpose", "Permute", "ReshapeAlias"}


class Ending(NamedTuple):
    """The activation that a model ends in, and its module (None for a function)."""

    activation: str
    module: str | None


def logits_only(model: nn.Module, example: Tensor) -> nn.Module:
    """The same model, ending in logits: a final Softmax or Sigmoid *module* is replaced in place.

    Raises:
        UnsupportedModelError: for an activation that is not a module, and for a model whose output
            is not one tensor.

    Examples:
        >>> import torch
        >>> from explaindebug.models import last_activation, logits_only
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(1))
        >>> last_activation(logits_only(network, torch.zeros(1, 4)), torch.zeros(1, 4)) is None
        True
    """
    while ending := last_activation(model, example):
        if ending.module is None:
            raise UnsupportedModelError(
                f"{type(model).__name__} ends in {ending.activation}, but logits are needed to "
                "explain it. Return the logits from `forward`, and apply the activation in the "
                "loss (cross_entropy, binary_cross_entropy_with_logits) or when predicting."
            )
        model.set_submodule(ending.module, nn.Identity())
    return model


def last_activation(model: nn.Module, example: Tensor) -> Ending | None:
    """The model's final activation, or None if it outputs logits.

    Determined from the graph of one forward pass in eval mode, so modules and functions are both
    recognised; a softmax written by hand is recognised by its values. The model does not change.

    Raises:
        UnsupportedModelError: for a model whose output is not one tensor.

    Examples:
        >>> import torch
        >>> from explaindebug.models import last_activation
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(1))
        >>> last_activation(network, torch.zeros(1, 4))
        Ending(activation='Softmax', module='1')
    """
    output, calls = _forward(model, example)
    node = output.grad_fn
    while node is not None and _kind(node) in RESHAPES:
        node = node.next_functions[0][0]
    if _kind(node) in ACTIVATIONS:
        modules = [n for n, outs in calls.items() if len(outs) == 1 and outs[0].grad_fn is node]
        return Ending(_kind(node), modules[0] if modules else None)
    return Ending("a softmax", None) if _is_distribution(output) else None


def _forward(model: nn.Module, example: Tensor) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The output, and the outputs of each activation module by name."""
    calls: dict[str, list[Tensor]] = {}
    named = [(n, m) for n, m in model.named_modules() if n and isinstance(m, MODULES)]
    modes = {module: module.training for module in model.modules()}

    def note(name: str) -> Any:
        return lambda module, args, output: calls.setdefault(name, []).append(output)

    handles = [module.register_forward_hook(note(name)) for name, module in named]
    try:
        with undisturbed(example.device):
            output = model.eval()(example.detach().clone().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    if not isinstance(output, Tensor):
        raise UnsupportedModelError(
            f"{type(model).__name__} returns a {type(output).__name__}, but one tensor of logits "
            "(n, k) is needed. Wrap the model so that `forward` returns it."
        )
    return output, calls


def _kind(node: Any) -> str:
    return "" if node is None else re.sub(r"Backward\d*$", "", node.name())


def _is_distribution(output: Tensor) -> bool:
    if output.ndim != 2 or output.shape[1] < 2 or (output < 0).any():
        return False
    return torch.allclose(output.sum(1), output.new_ones(len(output)), atol=1e-4)
