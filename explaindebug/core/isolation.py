"""Look into a model without leaving a trace."""

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
    """Room for gradients of our own, from wherever one is called.

    Inside, gradients are on, inference mode and autocast are off and compiled code runs eagerly
    (hook methods silently give the plain gradient on compiled modules). On exit, also after an
    exception, the random states of torch, numpy and Python are as they were.
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

    The model itself is never touched: its modes, buffers, parameters, `.grad` and hooks are as they
    were because nobody worked on them.

    Images must be cloned inside the context: Lightning's test and validation batches are inference
    tensors, which can't require a gradient.

    Raises:
        UnsupportedModelError: where the model can't be copied.
    """
    _check(model)
    device = next((x.device for x in chain(model.parameters(), model.buffers())), "cpu")
    with undisturbed(torch.device(device), seed=seed):
        yield private_copy(model)


@contextmanager
def private_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, the global random states start from `seed`; afterwards they are as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002  # third-party methods draw from the old one
            random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Inside, no parameter wants a gradient; afterwards those do that did."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def private_copy(model: nn.Module, *, shared: Iterable[Any] = ()) -> nn.Module:
    """A copy in eval mode, float32, with frozen parameters, of all that computes.

    Forward hooks are part of the function and stay, but on copies of all that they refer to: what
    one keeps, in a list, a dictionary or an attribute, nobody else sees. See `Copier`.

    Modules whose parameters are not float32 get their inputs in float32, also where `forward` casts
    them to the dtype that the parameters have had.

    Args:
        model: stays as it is.
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
    """Refuse what has no Python code or no values to explain."""
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                f"{path or 'the model'} is compiled by TorchScript, which can't be looked into. "
                "Explain the Python module that it was made from, with its weights."
            )
    tensors = (*model.named_parameters(), *model.named_buffers())
    for said, remedy, lacking in (
        ("on the meta device", "load the weights", [n for n, x in tensors if x.is_meta]),
        ("not initialised", "pass a batch through it", [n for n, x in tensors if is_lazy(x)]),
    ):
        if lacking:
            raise UnsupportedModelError(
                f"{type(model).__name__} has {len(lacking)} tensors without values ({lacking[0]} "
                f"is {said}): {remedy} before it is explained."
            )


def _single_precision(module: nn.Module, args: Any, kwargs: Any) -> Any:
    def single(x: Any) -> Any:
        return x.float() if isinstance(x, Tensor) and x.is_floating_point() else x

    return tree_map(single, (args, kwargs))
