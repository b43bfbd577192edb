"""A network's layers in execution order, and the stages of a cascade over them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, takewhile
from typing import NamedTuple

import torch
from torch import Tensor, nn

from explaindebug.core.errors import ConfigError, UnsupportedModelError
from explaindebug.core.registry import nearest
from explaindebug.models.execution_order import first_uses
from explaindebug.models.parametrised import (
    all_computed,
    computed,
    own_children,
    parametrisations,
    plain_kind,
)

ORDERS = ("top_down", "bottom_up", "independent")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Layer:
    """Tensors that are re-initialised together: a module's own, or a container's parameter."""

    name: str  # "features.3.squeeze", "encoder.pos_embedding"; of a block, the block's name
    kind: str  # "Conv2d"; "Parameter" for one on a container, like a class token
    tensors: tuple[str, ...]  # full names of its parameters and running statistics
    used: bool = True  # False if the forward pass does not use it, like an auxiliary head
    members: tuple[str, ...] = ()  # of a group: the layers in it
    unread: tuple[str, ...] = ()  # of a used layer: parameters that the pass does not read


@dataclass(frozen=True)
class Stage:
    """One step of a cascade: the layer it reaches, and all layers re-initialised by then."""

    name: str
    layers: tuple[str, ...]


class Owned(NamedTuple):
    """A layer within a model: its module, and the layer's tensors by their names in the module."""

    path: str
    module: nn.Module
    names: tuple[str, ...]
    on_container: bool = False

    def full(self, name: str) -> str:
        """The tensor's name in the model's `state_dict`."""
        return f"{self.path}.{name}" if self.path else name


def layers(
    model: nn.Module, example: Tensor | None = None, *, depth: int | None = None
) -> list[Layer]:
    """The layers that have parameters, first to last.

    With an example (n, c, h, w), layers are ordered by the first use of their tensors in a forward
    pass of a private copy, which covers functional calls, attention, class tokens and residual
    branches alike. Without one, they are in the order of definition. Layers that the pass did not
    use come first, with `used=False`. A tensor that layers share belongs to each of them.

    `depth` groups layers into blocks: 1 for the top-level children (below wrappers that hold
    everything), 2 for their children, and so on; None keeps every layer separate.

    Raises:
        UnsupportedModelError: for a model without parameters, and one that can't be copied.
        ConfigError: if the example does not pass through the model, or `depth` is below 1.
    """
    model = getattr(model, "_orig_mod", model)
    found = [_layer(name, own) for name, own in owned_layers(model).items()]
    if example is not None:
        found = _in_order_of_use(found, model, example)
    return found if depth is None else _blocks(found, model, depth)


def stages(layers: Iterable[Layer], order: str = "top_down") -> list[Stage]:
    """The stages of a cascade over layers, given first to last; unused layers are left out.

    `top_down` adds one layer after another from the last to the first, `bottom_up` from the first
    to the last; `independent` takes each layer alone, from the last to the first.

    Raises:
        ConfigError: for an unknown order.
    """
    check_order(order)
    used = [layer for layer in layers if layer.used]
    if order != "bottom_up":
        used.reverse()
    members = [layer.members or (layer.name,) for layer in used]
    if order != "independent":
        members = [tuple(chain.from_iterable(members[: i + 1])) for i in range(len(used))]
    return [Stage(layer.name, names) for layer, names in zip(used, members, strict=True)]


def check_order(order: str) -> None:
    """Raises ConfigError, with the nearest name, for an order that `stages` does not know."""
    if order not in ORDERS:
        hint = nearest(order, list(ORDERS))
        raise ConfigError(f"unknown order {order!r}.{hint} Known: {', '.join(ORDERS)}.")


def grouped(layers: Iterable[Layer], groups: Mapping[str, Collection[str]]) -> list[Layer]:
    """The layers, those of each group merged into one at the position of the group's first layer.

    `groups` maps each group's name to the names of its layers, or of modules, which stand for all
    layers below them: `{"top": ["fc", "layer4"]}`. Layers outside all groups do not change.

    Raises:
        ConfigError: for a name that no layer has, or a layer in two groups.
    """
    layers = list(layers)
    group_of: dict[str, str] = {}  # layer -> group
    for group, names in groups.items():
        for name in [names] if isinstance(names, str) else names:
            meant = [x.name for x in layers if x.name == name or x.name.startswith(f"{name}.")]
            if not meant:
                hint = nearest(name, [x.name for x in layers])
                raise ConfigError(f"group {group!r}: there is no layer {name!r}.{hint}")
            taken = [x for x in meant if group_of.get(x, group) != group]
            if taken:
                raise ConfigError(
                    f"layer {taken[0]!r} is in two groups, {group_of[taken[0]]!r} and {group!r}."
                )
            group_of.update(dict.fromkeys(meant, group))
    gathered: dict[str, list[Layer]] = {}
    for layer in layers:
        gathered.setdefault(group_of.get(layer.name, layer.name), []).append(layer)
    return [_group(name, found) if name in groups else found[0] for name, found in gathered.items()]


def owned_layers(model: nn.Module) -> dict[str, Owned]:
    """The layers by name, in the order of definition.

    Attention forms one layer with its output projection, which it never calls as a module; a
    parametrised layer includes all tensors that its weights are computed from. A parameter of a
    module whose children have parameters too (a class token, a position embedding) is a separate
    layer: that module's initialiser, if any, would reset the children as well.

    Raises:
        UnsupportedModelError: for a model without parameters, or one compiled by TorchScript.
    """
    found: dict[str, Owned] = {}
    inside: set[nn.Module] = set()  # submodules of layers already found
    for path, module in model.named_modules():
        if module in inside:
            continue
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                f"{path or 'the model'} is compiled by TorchScript, which hides its layers. Pass "
                "the Python module."
            )
        whole = isinstance(module, nn.MultiheadAttention)
        children = [child for child in own_children(module).values() if child is not None]
        inside.update(module.modules() if whole else parametrisations(module))
        own = Owned(path, module, _names(module, recurse=whole))
        if not whole and any(_names(child, recurse=True) for child in children):
            found |= {
                own.full(name): Owned(path, module, names, on_container=True)
                for name, names in _one_by_one(own).items()
            }
        elif own.names:
            found[path or type(module).__name__] = own
    if not found:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no parameters: there is nothing to re-initialise."
        )
    return found


def _one_by_one(own: Owned) -> dict[str, tuple[str, ...]]:
    """Each parameter separately: its name -> the tensors that it is, or is computed from."""
    found = {one.name: one.tensors(own.module) for one in computed(own.module)}
    taken = {name for names in found.values() for name in names}
    return {name: (name,) for name in own.names if name not in taken} | found


def _names(module: nn.Module, *, recurse: bool) -> tuple[str, ...]:
    """Names of the parameters, of running statistics, and of what weights are computed from."""
    parameters = module.named_parameters(recurse=recurse, remove_duplicate=False)
    statistics = [name for name in STATISTICS if getattr(module, name, None) is not None]
    inner = [(path, m, one) for path, m, one in all_computed(module) if recurse or not path]
    derived = [f"{p}.{n}" if p else n for p, m, one in inner for n in one.tensors(m)]
    return tuple(dict.fromkeys([*(name for name, _ in parameters), *statistics, *derived]))


def _layer(name: str, own: Owned) -> Layer:
    kind = "Parameter" if own.on_container else plain_kind(own.module).__name__
    return Layer(name, kind, tuple(own.full(n) for n in own.names))


def _in_order_of_use(found: list[Layer], model: nn.Module, example: Tensor) -> list[Layer]:
    when = first_uses(model, example)
    begins = [min(filter(None, (when[t] for t in x.tensors)), default=0) for x in found]
    pairs = sorted(zip(begins, found, strict=True), key=lambda pair: pair[0])  # stable
    parameters = dict(model.named_parameters(remove_duplicate=False))
    unread = {name for name in parameters if not when[name]}
    return [
        replace(layer, used=True, unread=tuple(t for t in layer.tensors if t in unread))
        if begin
        else replace(layer, used=False)
        for begin, layer in pairs
    ]


def _blocks(found: list[Layer], model: nn.Module, depth: int) -> list[Layer]:
    if depth < 1:
        raise ConfigError(f"depth={depth}, but it must be 1 or more (None for single layers).")
    paths = [layer.name.split(".") for layer in found]
    wrappers = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    level = len(list(wrappers)) + depth
    blocks: dict[str, list[Layer]] = {}
    for layer, path in zip(found, paths, strict=True):
        blocks.setdefault(".".join(path[:level]), []).append(layer)
    return [_block(name, members, model) for name, members in blocks.items()]


def _group(name: str, members: list[Layer]) -> Layer:
    names = tuple(layer.name for layer in members)
    tensors = tuple(t for layer in members for t in layer.tensors)
    used = any(layer.used for layer in members)
    return Layer(name, "Group", tensors, used, names, _unread(members))


def _block(name: str, members: list[Layer], model: nn.Module) -> Layer:
    alone = members[0].name == name
    kind = members[0].kind if alone else plain_kind(model.get_submodule(name)).__name__
    tensors = tuple(t for layer in members for t in layer.tensors)
    used = any(layer.used for layer in members)
    return Layer(name, kind, tensors, used, unread=_unread(members))


def _unread(members: list[Layer]) -> tuple[str, ...]:
    return tuple(name for layer in members for name in layer.unread)
