"""Tensors that a layer computes from others before each use: weight norm, spectral norm, pruning.

A network with such a layer is built by initialising a plain layer and parametrising it afterwards.
Weights are drawn anew in the same way: `plain` gives the layer without its parametrisations, and
`assign` writes what an initialiser made of it back to the tensors that the parametrised one has.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

INSIDE = "parametrizations"  # the child in which torch keeps them
ROUNDS = 200  # of bringing derived state up to date, at most
STABLE = 1e-5  # largest change in the last round


@dataclass(frozen=True)
class Computed(ABC):
    """A tensor of a module that is computed from other tensors of the module."""

    name: str

    @abstractmethod
    def tensors(self, module: nn.Module) -> tuple[str, ...]:
        """The module's own names of the parameters and buffers that it is computed from."""

    @abstractmethod
    def value(self, module: nn.Module, *, training: bool = False) -> Tensor:
        """The tensor as it is computed; in training, derived state takes one step on the way."""

    @abstractmethod
    def assign(self, module: nn.Module, values: Tensor) -> None:
        """Gives the tensors that it is computed from the values they have in a new network."""

    def steps(self, module: nn.Module) -> dict[str, nn.Module]:
        """What computes it and has parameters itself, by the module's names of these parts."""
        return {}

    def plain(self, module: nn.Module) -> Tensor:
        """What an initialiser starts from: the tensor without its parametrisation."""
        return self.value(module)

    def settle(self, module: nn.Module) -> None:
        """Brings state up to date that training derives from the weights, like singular vectors."""
        buffers = [b for name, b in module.named_buffers() if name in self.tensors(module)]
        for _ in range(ROUNDS if buffers else 0):
            before = [buffer.clone() for buffer in buffers]
            self.value(module, training=True)
            pairs = zip(buffers, before, strict=True)
            if all(torch.allclose(a, b, rtol=STABLE, atol=STABLE) for a, b in pairs):
                break


@dataclass(frozen=True)
class Parametrised(Computed):
    """By `torch.nn.utils.parametrize`."""

    def tensors(self, module: nn.Module) -> tuple[str, ...]:
        chain = self._chain(module)
        names = (n for named in (chain.named_parameters(), chain.named_buffers()) for n, _ in named)
        return tuple(f"{INSIDE}.{self.name}.{name}" for name in names)

    def value(self, module: nn.Module, *, training: bool = False) -> Tensor:
        chain = self._chain(module)
        values: Tensor = chain.train(training)()
        return values

    def plain(self, module: nn.Module) -> Tensor:
        """The effective values; the original ones where they can't be found from these again."""
        chain = self._chain(module)
        invertible = all(hasattr(step, "right_inverse") for step in chain)
        return self.value(module) if invertible or not chain.is_tensor else chain.original

    def assign(self, module: nn.Module, values: Tensor) -> None:
        """As torch does where a parametrisation is registered."""
        chain, found = self._chain(module), values
        for step in reversed(chain):
            with suppress(NotImplementedError):
                found = step.right_inverse(found) if hasattr(step, "right_inverse") else found
        if chain.is_tensor:
            chain.original.copy_(found)
            return
        for i, part in enumerate(found):
            getattr(chain, f"original{i}").copy_(part)

    def steps(self, module: nn.Module) -> dict[str, nn.Module]:
        """What computes it and has parameters itself, by the module's names of these parts."""
        chain = self._chain(module)
        found = {f"{INSIDE}.{self.name}.{i}": step for i, step in enumerate(chain)}
        return {name: step for name, step in found.items() if list(step.parameters())}

    def _chain(self, module: nn.Module) -> Any:
        return getattr(module, INSIDE)[self.name]


@dataclass(frozen=True)
class Normed(Computed):
    """By the older `torch.nn.utils.weight_norm`, in a hook."""

    hook: WeightNorm

    def tensors(self, module: nn.Module) -> tuple[str, ...]:
        return f"{self.name}_g", f"{self.name}_v"

    def value(self, module: nn.Module, *, training: bool = False) -> Tensor:
        values: Tensor = self.hook.compute_weight(module)
        return values

    def assign(self, module: nn.Module, values: Tensor) -> None:
        g, v = (getattr(module, name) for name in self.tensors(module))
        v.copy_(values)
        g.copy_(torch.norm_except_dim(values, 2, self.hook.dim))


@dataclass(frozen=True)
class OfOriginal(Computed):
    """By a hook that computes it from `<name>_orig`: older spectral norm, and pruning."""

    hook: Any

    def tensors(self, module: nn.Module) -> tuple[str, ...]:
        names = (f"{self.name}_{suffix}" for suffix in ("orig", "u", "v"))
        return tuple(name for name in names if hasattr(module, name))

    def value(self, module: nn.Module, *, training: bool = False) -> Tensor:
        if isinstance(self.hook, BasePruningMethod):
            pruned: Tensor = self.hook.apply_mask(module)  # type: ignore[no-untyped-call]
            return pruned
        values: Tensor = self.hook.compute_weight(module, do_power_iteration=training)
        return values

    def plain(self, module: nn.Module) -> Tensor:
        """The original, from which the hook starts."""
        original: Tensor = getattr(module, f"{self.name}_orig")
        return original

    def assign(self, module: nn.Module, values: Tensor) -> None:
        getattr(module, f"{self.name}_orig").copy_(values)


def computed(module: nn.Module) -> list[Computed]:
    """The tensors that a module itself computes; not those of its children."""
    found: list[Computed] = []
    if parametrize.is_parametrized(module):
        found += [Parametrised(name) for name in getattr(module, INSIDE)]
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm):
            found.append(Normed(hook.name, hook))
        elif isinstance(hook, SpectralNorm):
            found.append(OfOriginal(hook.name, hook))
        elif isinstance(hook, BasePruningMethod):
            found.append(OfOriginal(hook._tensor_name, hook))
    return found


def all_computed(module: nn.Module) -> Iterator[tuple[str, nn.Module, Computed]]:
    """Those of a module and of all its children, with the module that has each and its path."""
    for path, inner in module.named_modules():
        yield from ((path, inner, one) for one in computed(inner))


def parametrisations(module: nn.Module) -> Iterator[nn.Module]:
    """The modules in which torch keeps a module's parametrisations."""
    if parametrize.is_parametrized(module):
        yield from getattr(module, INSIDE).modules()


def own_children(module: nn.Module) -> dict[str, nn.Module | None]:
    """A module's children without its parametrisations."""
    inside = INSIDE if parametrize.is_parametrized(module) else None
    return {name: child for name, child in module._modules.items() if name != inside}


def plain_kind(module: nn.Module) -> type[nn.Module]:
    """The module's class before it was parametrised."""
    kind = type(module)
    return kind.__bases__[0] if parametrize.is_parametrized(module) else kind


def plain(module: nn.Module) -> nn.Module:
    """A copy without parametrisations: what is computed is a parameter, and comes first."""
    found = computed(module)
    without = {name for one in found for name in one.tensors(module)}
    copy = shallow(module, plain_kind(module))
    values: dict[str, Tensor | None] = {one.name: one.plain(module) for one in found}
    values |= {k: p for k, p in module._parameters.items() if k not in without}
    copy._parameters = {
        k: None if p is None else nn.Parameter(p.detach().clone(), False) for k, p in values.items()
    }
    copy._buffers = {
        k: None if b is None else b.clone() for k, b in module._buffers.items() if k not in without
    }
    children = own_children(module).items()
    copy._modules = {k: None if m is None else plain(m) for k, m in children}
    for one in found:
        vars(copy).pop(one.name, None)  # older hooks leave the last one they computed
    return copy


def shallow(module: nn.Module, kind: type[nn.Module] | None = None) -> nn.Module:
    """Another module with the same attributes; hooks and what they hold are not copied."""
    copy = object.__new__(kind or type(module))
    vars(copy).update(vars(module))
    return copy
