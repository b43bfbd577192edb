"""Re-initialise chosen layers: the paper's model contamination, and the stages of its cascade.

Source: Adebayo et al. 2020, section 4.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Generator, Tensor, nn

from explaindebug.bugs.initialisers import INITIALISERS, Initialiser, initialiser
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.models.layers import Layer, Owned, Stage, layers, owned_layers, stages
from explaindebug.models.parametrised import (
    Computed,
    all_computed,
    computed,
    parametrisations,
    plain,
    shallow,
)

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
    """Full names of the tensors that got new values, and of those left as trained."""

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
            return f"{done}, {kept}. All their values are equal, so permuting has no effect."
        return (
            f"{done}, {kept}. {self.init} has no rule for them; use permute_weights, or a function "
            "of your own."
        )


@dataclass(frozen=True)
class Fresh:
    """New values for a model's tensors by their full names, with a report."""

    tensors: Mapping[str, Tensor]  # same shape, dtype, device and layout as the model's
    layers: Mapping[str, tuple[str, ...]]  # layer -> its tensors among these
    left: Mapping[str, tuple[str, ...]]  # layer -> its tensors without new values
    lost: frozenset[str]  # layers whose effective weights differ from before
    report: Report

    def of(self, names: Collection[str]) -> dict[str, Tensor]:
        """The values of only these layers, or of the layers below these modules."""
        wanted = {tensor for layer in self.meant(names) for tensor in self.layers[layer]}
        return {name: tensor for name, tensor in self.tensors.items() if name in wanted}

    def meant(self, names: Collection[str]) -> list[str]:
        """The layers of those names, or below the modules of those names."""
        exact, below = set(names), tuple(f"{name}." for name in names)
        return [x for x in self.layers if x in exact or x.startswith(below)]


def fresh(
    model: nn.Module,
    names: Collection[str],
    *,
    seed: int,
    draw: int = 0,
    init: str | Initialiser = "layer_default",
) -> Fresh:
    """New values for layers; the model is not changed.

    `names` are layers (as named by `layers`) or modules, which stand for all layers below them.
    `init` is `layer_default`, `glorot` (the paper's), `torchvision`, `permute_weights`, or a
    function: see `initialisers`. BatchNorm loses its affine weights and running statistics alike.

    A layer whose weights are computed from others (weight norm, spectral norm, other
    parametrisations, pruning) gets the values of a newly built network: `init` applies to the plain
    layer, and the underlying tensors, singular vectors included, are derived from the result.

    Each layer draws from a generator seeded by (seed, draw, its name): equal shapes get different
    weights, and a layer gets the same ones whichever others are re-initialised with it, so a
    cascade is nested. A tensor that layers share is drawn once, by the first of them. No global
    random state is read or changed. Functions and `permute_weights` start from the current values:
    on a model that is already re-initialised, these are not the trained ones.

    Raises:
        ConfigError: for an unknown layer (with the nearest) or initialisation.
        UnsupportedModelError: for a model without parameters.
    """
    write = initialiser(init)
    owned = owned_layers(model)
    chosen = _chosen(owned, names)
    tensors: dict[str, Tensor] = {}
    left: list[str] = []
    lost: set[str] = set()
    for name, wanted in _by_first_owner(owned, chosen).items():
        drawn = _drawn(owned[name], write, _generator(seed, draw, name))
        for own_name, full_name in wanted.items():
            if own_name in drawn.kept:
                left.append(full_name)
                continue
            like = tensor_of(owned[name].module, own_name).detach()
            new = _placed(tensor_of(drawn.layer, own_name).detach(), like)
            tensors[full_name] = new
            if own_name not in drawn.same and not torch.equal(new, like):
                lost.add(full_name)
    name = init if isinstance(init, str) else getattr(init, "__name__", repr(init))
    report = Report(tuple(tensors), tuple(left), seed, draw, name)
    of_layer = partial(_by_layer, owned, chosen, model)
    losing = frozenset(layer for layer, names in of_layer(lost).items() if names)
    return Fresh(tensors, of_layer(tensors), of_layer(left), losing, report)


def reinitialise(model: nn.Module, names: Collection[str], **how: Any) -> Report:
    """Re-initialise layers in place (pass a copy to keep the original), and report what was done.

    Arguments and exceptions are those of `fresh`.
    """
    new = fresh(model, names, **how)
    with torch.no_grad():
        for name, values in new.tensors.items():
            tensor_of(model, name).copy_(values)
    return new.report


@contextmanager
def reinitialised(model: nn.Module, names: Collection[str], **how: Any) -> Iterator[Report]:
    """`reinitialise` within the block: on exit, also after an exception, values are restored."""
    new = fresh(model, names, **how)
    with exchanged(model, new.tensors):
        yield new.report


@contextmanager
def exchanged(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Swap the values of the named tensors within the block, without copying.

    Parameters and buffers remain the same objects, so existing references see the new values.
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
    """The values with the device, dtype and strides of another tensor; copied only if needed."""
    values = values.to(like)
    same = values.stride() == like.stride()
    return values if same else torch.empty_like(like).copy_(values)


def _chosen(owned: dict[str, Owned], names: Collection[str]) -> list[str]:
    """The layers that the names stand for, in the model's order."""
    chosen: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        meant = [known for known in owned if known == name or known.startswith(f"{name}.")]
        if not meant:
            hint = nearest(name, list(owned))
            raise ConfigError(f"the model has no layer {name!r}.{hint} It has: {_some(owned)}.")
        chosen.update(meant)
    return [name for name in owned if name in chosen]


def _by_first_owner(owned: dict[str, Owned], chosen: list[str]) -> dict[str, dict[str, str]]:
    """Layer that draws -> tensor's name in that layer -> full name in the chosen layer."""
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
    """Layer -> names, among those drawn, of its tensors, including shared ones."""
    known = tensors_of(model)
    names = {id(known[name]): name for name in drawn}
    found = {}
    for layer in chosen:
        tensors = (tensor_of(owned[layer].module, name) for name in owned[layer].names)
        found[layer] = tuple(names[id(tensor)] for tensor in tensors if id(tensor) in names)
    return found


class _Drawn(NamedTuple):
    """A copy of a layer with new values, in float32 on the CPU; names are those in the layer."""

    layer: nn.Module
    kept: set[str]  # tensors without new values
    same: set[str] = set()  # tensors that yield the same weights as before  # noqa: RUF012


def _drawn(own: Owned, write: Initialiser, generator: Generator) -> _Drawn:
    layer = _twin(_alone(own) if own.on_container else own.module)
    found = [x for x in all_computed(layer) if set(own.names).issuperset(_tensors(*x))]
    if not found:
        return _Drawn(layer, set(write(layer, generator) or ()))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        before = [one.value(inner) for _, inner, one in found]
        blank = plain(layer)
        if own.on_container:  # its initialiser would reset the whole container
            blank = _holder({one.name: getattr(blank, one.name) for _, _, one in found})
        kept = set(write(blank, generator) or ())
        torch.default_generator.manual_seed(generator.initial_seed())  # right_inverse may draw
        same = set[str]()
        for (path, inner, one), values in zip(found, before, strict=True):
            names = _tensors(path, inner, one)
            unable = _redrawn_steps(path, inner, one, write, generator)
            name = _full(path, one.name)
            if name in kept or not _assigned(one, inner, tensor_of(blank, name)):
                unable = names
            kept = kept - {name} | unable
            if torch.equal(one.value(inner), values):
                same |= names
        for name in tensors_of(blank).keys() & tensors_of(layer).keys() - kept:
            tensor_of(layer, name).copy_(tensor_of(blank, name))
    return _Drawn(layer, kept, same)


def _redrawn_steps(
    path: str, module: nn.Module, one: Computed, write: Initialiser, generator: Generator
) -> set[str]:
    """Re-initialise the parametrisations' own parameters; names of those that got no values."""
    left: set[str] = set()
    for name, step in one.steps(module).items():
        blank = plain(step)
        unable = set(write(blank, generator) or ())
        for own_name in tensors_of(blank).keys() - unable:
            tensor_of(step, own_name).copy_(tensor_of(blank, own_name))
        left |= {_full(path, f"{name}.{own_name}") for own_name in unable}
    return left


def _assigned(one: Computed, module: nn.Module, values: Tensor) -> bool:
    """Assign new values; False if the parametrisation, which may be a custom one, refuses them."""
    try:
        one.assign(module, values)
    except (RuntimeError, ValueError, TypeError):
        return False
    one.settle(module)
    return True


def _tensors(path: str, module: nn.Module, one: Computed) -> set[str]:
    return {_full(path, name) for name in one.tensors(module)}


def _full(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _alone(own: Owned) -> nn.Module:
    """The container reduced to one parameter, or the tensors that it is computed from."""
    names = [one.tensors(own.module) for one in computed(own.module)]
    if own.names not in names:
        return _holder({name: getattr(own.module, name) for name in own.names})
    alone = shallow(own.module)
    children, inside = own.module._modules.items(), set(parametrisations(own.module))
    alone._modules = {name: child for name, child in children if child in inside}
    return alone


def _holder(parameters: Mapping[str, Tensor | None]) -> nn.Module:
    holder = nn.Module()
    holder._parameters = {name: cast(nn.Parameter | None, x) for name, x in parameters.items()}
    return holder


def _twin(module: nn.Module) -> nn.Module:
    twin = shallow(module)
    parameters, buffers = module._parameters.items(), module._buffers.items()
    twin._parameters = {
        k: None if p is None else nn.Parameter(_values(p), False) for k, p in parameters
    }
    twin._buffers = {k: None if b is None else _values(b) for k, b in buffers}
    twin._modules = {k: None if m is None else _twin(m) for k, m in module._modules.items()}
    for name, value in vars(module).items():
        if isinstance(value, Tensor):  # cached tensors may be written to in place
            vars(twin)[name] = _values(value)
    return twin


def _values(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.empty(tensor.shape, dtype=dtype).copy_(tensor.detach())


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by their full names; shared tensors have several names."""
    tensors: dict[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    tensors.update(model.named_buffers(remove_duplicate=False))
    return tensors


def tensor_of(module: nn.Module, name: str) -> Tensor:
    """The parameter or buffer with this full name."""
    path, _, own = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(path), own)
    return tensor


def _generator(*key: object) -> Generator:
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _some(names: Collection[str]) -> str:
    return ", ".join(list(names)[:8]) + (", ..." if len(names) > 8 else "")
