"""Look into a model without leaving a trace."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from explaindebug.errors import UnsupportedModelError


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
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with undisturbed(device, seed=seed):
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


def private_copy(model: nn.Module) -> nn.Module:
    """A deep copy in eval mode, float32, with frozen parameters and without backward hooks.

    Forward hooks stay, because they may be part of the function; backward hooks go, because they
    only look, and our gradients are not theirs to see.

    Raises:
        UnsupportedModelError: where the model can't be copied.
    """
    try:
        twin = copy.deepcopy(getattr(model, "_orig_mod", model))
    except Exception as error:
        raise UnsupportedModelError(
            f"{type(model).__name__} can't be copied ({error}). A model that keeps an activation "
            "with its graph as an attribute must detach it first."
        ) from error
    for module in twin.modules():
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
    return twin.float().eval().requires_grad_(False)
