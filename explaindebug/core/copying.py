"""Deep copies of models: everything that takes part in the forward pass, and nothing else."""

import copy
import sys
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from explaindebug.core.errors import UnsupportedModelError

ATOMIC = (type(None), bool, int, float, complex, str, bytes)
CONTAINERS = (list, dict, set, deque)
NEVER_COMPUTE = (Optimizer, LRScheduler, DataLoader, Dataset)  # large, and not used in a forward
INTERNAL = frozenset(vars(nn.Module()))  # attributes of every module: tensors, modules, hooks
BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
LOGGING_PACKAGES = ("wandb",)  # their forward hooks (`wandb.watch`) only log


class Copier:
    """Copies objects; an object that is reached twice is copied once.

    It differs from `copy.deepcopy` where a model in the middle of its training needs it:

    - tensors with a graph (a kept activation, the weight of the old `weight_norm`) are detached;
    - objects that can't be copied (locks, files, generators), that never compute (optimizers, data
      sets) or that are passed as `shared` are shared with the original;
    - states of torchmetrics' metrics are reset;
    - functions are copied with their closures and the containers among their globals: a hook or
      lambda that refers to the module, or appends to a list, then refers to the copies of these, so
      the original's lists do not grow;
    - backward hooks and the hooks of `wandb.watch` are dropped, as they only observe.

    Args:
        known: id of an object -> its replacement in the copy.
        shared: objects that are not copied.
    """

    def __init__(self, known: dict[int, Any] | None = None, shared: Iterable[Any] = ()) -> None:
        self.containers: list[Any] = []  # all copied lists, mappings and the like
        self._known: dict[Any, Any] = dict(known or {})
        self._known.update({id(x): x for x in shared})
        self._alive: list[Any] = []  # keeps originals alive, so that no id is reused

    def __call__(self, x: Any) -> Any:
        """The copy of `x`.

        Raises:
            UnsupportedModelError: for a module that can't be copied.
        """
        if type(x) in ATOMIC or isinstance(x, type):
            return x
        if id(x) in self._known:
            return self._known[id(x)]
        self._alive.append(x)
        try:
            made = self._copied(x)
        except UnsupportedModelError:
            raise
        except Exception as error:
            if isinstance(x, nn.Module | Tensor):
                raise UnsupportedModelError(
                    f"{type(x).__name__} can't be copied ({type(error).__name__}: {error}). "
                    "Explain a part without it, or give its class a __deepcopy__."
                ) from error
            made = x
        self._known[id(x)] = made
        return made

    def _copied(self, x: Any) -> Any:
        if isinstance(x, NEVER_COMPUTE):
            return x
        if isinstance(x, Tensor):
            return self._tensor(x)
        if isinstance(x, FunctionType):
            return self._function(x)
        if isinstance(x, MethodType):
            return MethodType(self(x.__func__), self(x.__self__))
        if isinstance(x, torch.Generator):
            return x.clone_state()
        if type(x) is tuple:
            return tuple(map(self, x))
        if isinstance(x, nn.Module) and is_parametrized(x):  # these refuse to be pickled
            return self._filled(x, x.__new__(type(x)), vars(x))
        if hasattr(x, "__deepcopy__"):
            return copy.deepcopy(x, self._known)
        return self._rebuilt(x)

    def _tensor(self, x: Tensor) -> Tensor:
        if x.is_leaf and not x.is_inference():
            made: Tensor = copy.deepcopy(x, self._known)
            return made
        return x.detach().clone()

    def _rebuilt(self, x: Any) -> Any:
        """Through the pickle protocol, which takes any object apart and reassembles it."""
        reduced: Any = x.__reduce_ex__(4)
        if isinstance(reduced, str):
            return x
        make, args, state, items, pairs = (*reduced, None, None, None)[:5]
        made = make(*map(self, args))
        self._known[id(x)] = made
        if isinstance(made, CONTAINERS):
            self.containers.append(made)
        if state is not None:
            self._filled(x, made, state)
        for item in items or ():
            made.append(self(item))
        for key, value in pairs or ():
            made[self(key)] = self(value)
        return made

    def _filled(self, x: Any, made: Any, state: Any) -> Any:
        self._known[id(x)] = made
        state = self._module_state(x, state) if isinstance(x, nn.Module) else self(state)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
            return made
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        vars(made).update(attributes or {})
        for name, value in (slots or {}).items():
            setattr(made, name, value)
        return made

    def _module_state(self, module: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
        metric: Any = getattr(sys.modules.get("torchmetrics"), "Metric", ())
        if isinstance(module, metric):
            state = {**state, **module._defaults}
        return {
            name: self._internal(name, value) if name in INTERNAL else self(value)
            for name, value in state.items()
        }

    def _internal(self, name: str, value: Any) -> Any:
        """A module's own attribute; not added to `containers`, which `Renewed` resets."""
        if not isinstance(value, dict):
            return copy.copy(value)
        # The handle that removes a hook refers to the mapping that holds the hook.
        made: dict[Any, Any] = OrderedDict() if isinstance(value, OrderedDict) else {}
        self._known[id(value)] = made
        self._alive.append(value)
        if name not in BACKWARD_HOOKS:
            made |= {k: self(v) for k, v in value.items() if not _only_logs(v)}
        return made

    def _function(self, x: FunctionType) -> FunctionType:
        """The function bound to the copies of what it refers to; `x` itself if nothing differs."""
        cells = x.__closure__ or ()
        used = {k: x.__globals__[k] for k in _names(x.__code__) if k in x.__globals__}
        held = {k: v for k, v in used.items() if isinstance(v, CONTAINERS)}
        if not cells and not held:
            return x
        inside = tuple(CellType() for _ in cells)
        # Containers are copied below, once `made` is known, as they may refer to the function.
        namespace = dict(x.__globals__)
        made = FunctionType(x.__code__, namespace, x.__name__, x.__defaults__, inside)
        made.__kwdefaults__, made.__qualname__ = x.__kwdefaults__, x.__qualname__
        vars(made).update(vars(x))
        self._known[id(x)] = made
        changed = False
        for cell, old in zip(inside, cells, strict=True):
            if _filled(old):
                cell.cell_contents = self(old.cell_contents)
                # A number is its own copy, but the function may use it as a counter.
                same = cell.cell_contents is old.cell_contents
                changed |= not same or type(old.cell_contents) in ATOMIC
        for name, value in held.items():
            namespace[name] = self(value)
        return made if changed or held else x


class Renewed:
    """A forward pre-hook that restores lists and mappings to their initial content.

    A forward or a hook that appends activations to a list would otherwise keep those of every pass
    of a method alive, with their graphs.
    """

    def __init__(self, containers: Collection[Any]) -> None:
        self.contents = [(x, tuple(x.items() if isinstance(x, dict) else x)) for x in containers]

    def __call__(self, *_: Any) -> None:
        for container, content in self.contents:
            if len(container) != len(content):
                container.clear()
                add = getattr(container, "extend", None) or container.update
                add(content)


def _only_logs(hook: Any) -> bool:
    package = str(getattr(hook, "__module__", "")).partition(".")[0]
    return package in LOGGING_PACKAGES


def _names(code: CodeType) -> Iterator[str]:
    """The global names that a function uses, including those of nested functions."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
