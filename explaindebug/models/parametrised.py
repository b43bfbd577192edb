"""Tensors that a layer computes from others before each use: weight norm, spectral norm, pruning.

A network with such a layer is built by initialising a plain layer and parametrising it afterwards.
Re-initialisation repeats these steps: `plain` gives the layer without its parametrisations, and
`assign` writes the new values back to the tensors of the parametrised layer.
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

INSIDE = "parametrizations"  # the child module in which torch keeps them
ROUNDS = 200  # most steps in which derived state is brought up to date
STABLE = 1e-5  # largest change in the last step


@dataclass(frozen=True)
class Computed(ABC):
    """A tensor of a module that is computed from other tensors of the module."""

    name: str

    @abstractmethod
    def tensors(self, module: nn.Module) -> tuple[str, ...]:
        """Names, in the module, of the parameters and buffers that it is computed from."""

    @abstractmethod
    def value(self, module: nn.Module, *, training: bool = False) -> Tensor:
        """The computed tensor; in training mode this updates derived state by one step."""

    @abstractmethod
    def assign(self, module: nn.Module, values: Tensor) -> None:
        """Write to the tensors that it is computed from, as in a newly built network."""

    def steps(self, module: nn.Module) -> dict[str, nn.Module]:
        """The parametrisations that have parameters themselves, by their names in the module."""
        return {}

    def plain(self, module: nn.Module) -> Tensor:
        """The tensor without its parametrisation, from which an initialiser starts."""
        return self.value(module)

    def settle(self, module: nn.Module) -> None:
        """Update state that training derives from the weights, like singular vectors."""
        buffers = [b for name, b in module.named_buffers() if name in self.tensors(module)]
        for _ in range(ROUNDS if buffers else 0):
            before = [buffer.clone() for buffer in buffers]
            self.value(module, training=True)
            pairs = zip(buffers, before, strict=True)
            if all(torch.allclose(a, b, rtol=STABLE, atol=STABLE) for a, b in pairs):
                break


@dataclass(frozen=True)
class Parametrised(Computed):
    """Computed by `torch.nn.utils.parametrize`."""

    def tensors(self, module: nn.Module) -> tuple[str, ...]:
        chain = self._chain(module)
        names = (n for named in (chain.named_parameters(), chain.named_buffers()) for n, _ in named)
        return tuple(f"{INSIDE}.{self.name}.{name}" for name in names)

    def value(self, module: nn.Module, *, training: bool = False) -> Tensor:
        chain = self._chain(module)
        values: Tensor = chain.train(training)()
        return values

    def plain(self, module: nn.Module) -> Tensor:
        """The effective values; the original ones if the parametrisation can't be inverted."""
        chain = self._chain(module)
        invertible = all(hasattr(step, "right_inverse") for step in chain)
        return self.value(module) if invertible or not chain.is_tensor else chain.original

    def assign(self, module: nn.Module, values: Tensor) -> None:
        """As torch does when a parametrisation is registered."""
        chain, original = self._chain(module), values
        for step in reversed(chain):
            if hasattr(step, "right_inverse"):
                with suppress(NotImplementedError):
                    original = step.right_inverse(original)
        if chain.is_tensor:
            chain.original.copy_(original)
            return
        for i, part in enumerate(original):
            getattr(chain, f"original{i}").copy_(part)

    def steps(self, module: nn.Module) -> dict[str, nn.Module]:
        """The parametrisations that have parameters themselves, by their names in the module."""
        chain = self._chain(module)
        found = {f"{INSIDE}.{self.name}.{i}": step for i, step in enumerate(chain)}
        return {name: step for name, step in found.items() if list(step.parameters())}

    def _chain(self, module: nn.Module) -> Any:
        return getattr(module, INSIDE)[self.name]


@dataclass(frozen=True)
class Normed(Computed):
    """Computed by the hook of the older `torch.nn.utils.weight_norm`."""

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
    """Computed by a hook from `<name>_orig`: older spectral norm, and pruning."""

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
        """The original tensor, which the hook reads."""
        original: Tensor = getattr(module, f"{self.name}_orig")
        return original

    def assign(self, module: nn.Module, values: Tensor) -> None:
        getattr(module, f"{self.name}_orig").copy_(values)


def computed(module: nn.Module) -> list[Computed]:
    """The computed tensors of a module itself, without those of its children."""
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
    """The computed tensors of a module and all its submodules: path, submodule, tensor."""
    for path, inner in module.named_modules():
        yield from ((path, inner, one) for one in computed(inner))


def parametrisations(module: nn.Module) -> Iterator[nn.Module]:
    """The modules in which torch stores a module's parametrisations."""
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
    """A copy without parametrisations: computed tensors become parameters, and come first."""
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
        vars(copy).pop(one.name, None)  # older hooks store the last value they computed
    return copy


def shallow(module: nn.Module, kind: type[nn.Module] | None = None) -> nn.Module:
    """A shallow copy: another module with the very same attributes, hooks included."""
    copy = object.__new__(kind or type(module))
    vars(copy).update(vars(module))
    return copy
