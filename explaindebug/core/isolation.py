"""Run code on a model without side effects."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map

from explaindebug.core.copying import Copier, Renewed
from explaindebug.core.errors import UnsupportedModelError


@contextmanager
def undisturbed(device: torch.device, *, seed: int = 0) -> Iterator[None]:
    """A context in which gradients can be computed, whatever the state of the caller.

    Inside, gradients are on, inference mode and autocast are off and compiled code runs eagerly
    (hook-based methods silently give the plain gradient on compiled modules). On exit, also after
    an exception, the random states of torch, numpy and Python are restored.
    """
    with (
        private_randomness(seed, device),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        torch.compiler.set_stance("force_eager"),
    ):
        yield


@contextmanager
def watch(model: nn.Module, *, seed: int = 0) -> Iterator[nn.Module]:
    """A private copy of `model` to explain, inside `undisturbed`.

    The model itself is never touched: all work is done on the copy, so its modes, buffers,
    parameters, `.grad` and hooks do not change.

    Images must be cloned inside the context: Lightning's test and validation batches are inference
    tensors, which can't require a gradient.

    Raises:
        UnsupportedModelError: where the model can't be copied.
    """
    _check(model)
    device = next((x.device for x in chain(model.parameters(), model.buffers())), "cpu")
    with undisturbed(torch.device(device), seed=seed):
        yield private_copy(model)


def device_of(model: nn.Module, otherwise: torch.device) -> torch.device:
    """Where a model's parameters are; `otherwise` for a model without any."""
    return next((p.device for p in model.parameters()), otherwise)


@contextmanager
def private_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global random states with `seed` inside the block; restore them afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002  # third-party methods use the legacy one
            random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Set `requires_grad` to False on all parameters; restores it on exit."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def private_copy(model: nn.Module, *, shared: Iterable[Any] = ()) -> nn.Module:
    """A copy of everything that computes, in eval mode, float32, with frozen parameters.

    Forward hooks are part of the function and are kept, but bound to copies of everything that they
    refer to: what a hook stores, in a list, a dictionary or an attribute, stays in the copy. See
    `Copier`.

    Modules whose parameters were not float32 receive their inputs in float32, even if `forward`
    casts them to the parameters' original dtype.

    Args:
        model: not changed.
        shared: objects that the model holds and that are not copied, like a trainer.

    Raises:
        UnsupportedModelError: for a model that can't be copied, is compiled by TorchScript, or has
            parameters without values.
    """
    model = getattr(model, "_orig_mod", model)
    _check(model)
    copier = Copier(shared=shared)
    twin: nn.Module = copier(model)
    twin.register_forward_pre_hook(Renewed(copier.containers))
    for module in twin.modules():
        own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        if any(x.is_floating_point() and x.dtype != torch.float32 for x in own):
            module.register_forward_pre_hook(_single_precision, with_kwargs=True)
    return twin.float().eval().requires_grad_(False)


def _check(model: nn.Module) -> None:
    """Reject models without Python code or without values."""
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                f"{path or 'the model'} is compiled by TorchScript, whose operations can't be "
                "traced. Explain the Python module that it was compiled from, with its weights."
            )
    tensors = (*model.named_parameters(), *model.named_buffers())
    for problem, remedy, names in (
        ("on the meta device", "load the weights", [n for n, x in tensors if x.is_meta]),
        ("not initialised", "pass a batch through it", [n for n, x in tensors if is_lazy(x)]),
    ):
        if names:
            raise UnsupportedModelError(
                f"{type(model).__name__} has {len(names)} tensors without values ({names[0]} "
                f"is {problem}): {remedy} before explaining it."
            )


def _single_precision(module: nn.Module, args: Any, kwargs: Any) -> Any:
    def single(x: Any) -> Any:
        return x.float() if isinstance(x, Tensor) and x.is_floating_point() else x

    return tree_map(single, (args, kwargs))
