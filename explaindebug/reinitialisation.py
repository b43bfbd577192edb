"""Fresh weights for chosen layers: the paper's model contamination, and each stage of its cascade.

Source: Adebayo et al. 2020, section 4.
"""

import copy
import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from explaindebug.errors import ConfigError
from explaindebug.initialisers import INITIALISERS, Initialiser, initialiser
from explaindebug.layers import Layer, Owned, Stage, layers, owned_layers, stages
from explaindebug.registry import nearest

__all__ = [
    "INITIALISERS",
    "Fresh",
    "Initialiser",
    "Layer",
    "Report",
    "Stage",
    "exchanged",
    "fresh",
    "layers",
    "reinitialise",
    "reinitialised",
    "stages",
]


@dataclass(frozen=True)
class Report:
    """What was done: full names of the tensors with new values, and of those that got none."""

    changed: tuple[str, ...]
    left: tuple[str, ...]
    seed: int
    draw: int
    init: str

    def __str__(self) -> str:
        done = f"{len(self.changed)} tensors re-initialised by {self.init}"
        if not self.left:
            return f"{done}."
        kept = f"{len(self.left)} left as trained: {', '.join(self.left)}"
        if self.init == "permute_weights":
            return f"{done}, {kept}. All their values are equal, so no order changes them."
        return (
            f"{done}, {kept}. It has no rule for them; permute_weights has, and so may a function "
            "of your own."
        )


@dataclass(frozen=True)
class Fresh:
    """New values for a model's tensors by their full names, and what was done to get them."""

    tensors: Mapping[str, Tensor]  # of the shape, dtype, device and layout of the model's own
    layers: Mapping[str, tuple[str, ...]]  # which of them each layer has
    report: Report

    def of(self, names: Collection[str]) -> dict[str, Tensor]:
        """The values of some of the layers, or of those below some modules, alone."""
        exact, below = set(names), tuple(f"{name}." for name in names)
        meant = [x for x in self.layers if x in exact or x.startswith(below)]
        wanted = {tensor for layer in meant for tensor in self.layers[layer]}
        return {name: tensor for name, tensor in self.tensors.items() if name in wanted}


def fresh(
    model: nn.Module,
    names: Collection[str],
    *,
    seed: int,
    draw: int = 0,
    init: str | Initialiser = "layer_default",
) -> Fresh:
    """New values for layers; the model stays as it is.

    `names` are layers (as `layers` names them) or modules, which mean all layers below. `init` is
    `layer_default`, `glorot` (the paper's), `torchvision`, `permute_weights`, or a function: see
    `initialisers`. BatchNorm loses its affine weights and its running statistics alike.

    Each layer draws from a generator seeded by (seed, draw, its name): equal shapes get different
    weights, and a layer gets the same ones whichever others are re-initialised with it, so that a
    cascade is nested. A tensor that layers share is drawn once, by the first of them. No global
    random state is read or changed. Functions and `permute_weights` start from the values they
    find: on a model that is already re-initialised, they don't start from the trained ones.

    Raises:
        ConfigError: for an unknown layer (with the nearest) or initialisation.
        UnsupportedModelError: for a model without parameters.
    """
    write = initialiser(init)
    owned = owned_layers(model)
    chosen = _chosen(owned, names)
    tensors: dict[str, Tensor] = {}
    left = []
    for name, wanted in _by_first_owner(owned, chosen).items():
        stand_in = _stand_in(owned[name])
        kept = set(write(stand_in, _generator(seed, draw, name)) or ())
        for own_name, full_name in wanted.items():
            if own_name in kept:
                left.append(full_name)
                continue
            like = tensor_of(owned[name].module, own_name).detach()
            tensors[full_name] = _placed(tensor_of(stand_in, own_name).detach(), like)
    name = init if isinstance(init, str) else getattr(init, "__name__", repr(init))
    report = Report(tuple(tensors), tuple(left), seed, draw, name)
    return Fresh(tensors, _by_layer(owned, chosen, model, tensors), report)


def reinitialise(model: nn.Module, names: Collection[str], **how: Any) -> Report:
    """What was re-initialised; the model changes in place, so give a private copy of it.

    Arguments and exceptions are those of `fresh`.
    """
    new = fresh(model, names, **how)
    with torch.no_grad():
        for name, values in new.tensors.items():
            tensor_of(model, name).copy_(values)
    return new.report


@contextmanager
def reinitialised(model: nn.Module, names: Collection[str], **how: Any) -> Iterator[Report]:
    """`reinitialise` for a while: on exit, also after an exception, the values are as before."""
    new = fresh(model, names, **how)
    with exchanged(model, new.tensors):
        yield new.report


@contextmanager
def exchanged(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the model's tensors of those names hold other values, without any copying.

    Parameters and buffers stay the same objects, so that whoever holds one sees the new values.
    """
    known = tensors_of(model)
    own = {name: known[name] for name in tensors}
    before = {name: tensor.data for name, tensor in own.items()}
    try:
        for name, tensor in own.items():
            tensor.data = tensors[name]
        yield
    finally:
        for name, tensor in own.items():
            tensor.data = before[name]


def _placed(values: Tensor, like: Tensor) -> Tensor:
    """The values as the other tensor lies: the same tensor where it lies so already."""
    values = values.to(like)
    same = values.stride() == like.stride()
    return values if same else torch.empty_like(like).copy_(values)


def _chosen(owned: dict[str, Owned], names: Collection[str]) -> list[str]:
    """The layers that the names mean, in the model's order."""
    chosen: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        meant = [known for known in owned if known == name or known.startswith(f"{name}.")]
        if not meant:
            hint = nearest(name, list(owned))
            raise ConfigError(f"the model has no layer {name!r}.{hint} It has: {_some(owned)}.")
        chosen.update(meant)
    return [name for name in owned if name in chosen]


def _by_first_owner(owned: dict[str, Owned], chosen: list[str]) -> dict[str, dict[str, str]]:
    """Layer that draws -> its own name of each tensor wanted -> how the chosen layer calls it."""
    first: dict[int, tuple[str, str]] = {}
    for name, own in owned.items():
        for tensor in own.names:
            first.setdefault(id(tensor_of(own.module, tensor)), (name, tensor))
    wanted: dict[str, dict[str, str]] = {}
    for own in (owned[name] for name in chosen):
        for tensor in own.names:
            owner, owners_name = first[id(tensor_of(own.module, tensor))]
            wanted.setdefault(owner, {}).setdefault(owners_name, own.full(tensor))
    return wanted


def _by_layer(
    owned: dict[str, Owned], chosen: list[str], model: nn.Module, drawn: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Layer -> the names, among those drawn, of the tensors it has, its own or shared ones."""
    known = tensors_of(model)
    names = {id(known[name]): name for name in drawn}
    found = {}
    for layer in chosen:
        tensors = (tensor_of(owned[layer].module, name) for name in owned[layer].names)
        found[layer] = tuple(names[id(tensor)] for tensor in tensors if id(tensor) in names)
    return found


def _stand_in(own: Owned) -> nn.Module:
    """The layer with tensors of its own, float32 on the CPU; a container's parameter by itself."""
    if not own.on_container:
        return _twin(own.module)
    alone = nn.Module()
    (name,) = own.names
    alone.register_parameter(name, nn.Parameter(_values(getattr(own.module, name)), False))
    return alone


def _twin(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)  # shallow: hooks and what they hold are not copied
    parameters, buffers = module._parameters.items(), module._buffers.items()
    twin._parameters = {
        k: None if p is None else nn.Parameter(_values(p), False) for k, p in parameters
    }
    twin._buffers = {k: None if b is None else _values(b) for k, b in buffers}
    twin._modules = {k: None if m is None else _twin(m) for k, m in module._modules.items()}
    return twin


def _values(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.empty(tensor.shape, dtype=dtype).copy_(tensor.detach())


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by their full names; what is shared has several."""
    parameters = model.named_parameters(remove_duplicate=False)
    return {**dict(parameters), **dict(model.named_buffers(remove_duplicate=False))}


def tensor_of(module: nn.Module, name: str) -> Tensor:
    """The parameter or buffer of that full name."""
    path, _, own = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(path), own)
    return tensor


def _generator(*key: object) -> Generator:
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _some(names: Collection[str]) -> str:
    return ", ".join(list(names)[:8]) + (", ..." if len(names) > 8 else "")
