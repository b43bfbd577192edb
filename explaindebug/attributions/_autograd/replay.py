"""Reuse what a network computes before it reads the first changed weight.

Two states of a network that differ in some layers compute the same up to the first of them. That
point is found while the network runs, not from a list of layers: until any operation reads a
changed tensor, nothing can depend on one. So it works for any network, with branches, residual
connections, shared weights and functional calls.

Only the outputs of convolutions and dense layers are stored, which take most of the time. The rest
is computed again, so that gradients, and rules that walk through the graph, find what they expect.
"""

import copy
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from explaindebug.attributions._autograd.ops import SIGNAL, Conv, Linear, agree
from explaindebug.attributions._autograd.tape import KINDS

# Functions and attributes of a tensor that don't depend on its values.
_BLIND = """
    size dim ndimension numel nelement stride element_size storage_offset get_device __len__
    is_contiguous is_floating_point is_complex data_ptr
    dtype device shape ndim layout requires_grad is_leaf is_cuda is_cpu is_sparse is_quantized names
"""
BLIND = frozenset(_BLIND.split())


class _Kept(NamedTuple):
    """An output and the operation that computed it."""

    operation: tuple[Any, ...]
    output: Tensor


@dataclass
class _Call:
    """One call of the network in the first run."""

    images: Tensor  # a copy: a network may normalise its input in place
    kept: list[_Kept] = field(default_factory=list)


class Replay(TorchFunctionMode):
    """Repeats the same calls of a network with other weights, reusing results of the first run.

        replay = Replay(model, always=..., room=2**30)
        for state in states:                      # the first run is recorded
            with exchanged(model, state), replay.run(changed):
                work(model)

    `always` are the tensors that every later run changes: after them, nothing needs to be stored.
    `room` is the number of bytes that may be stored; the rest is computed again. A call is computed
    again as a whole if its images differ from the first run's, or if that run drew random numbers.
    It is computed again from the first operation that does not do what its name says, or whose
    activations are checkpointed. The network's parameters must be frozen.
    """

    def __init__(self, model: nn.Module, *, always: Collection[Tensor] = (), room: int) -> None:
        super().__init__()
        self._model, self._room = model, room
        self._always = {id(tensor) for tensor in always}
        self._calls: list[_Call] = []
        self._first = True
        self._changed: set[int] = set()
        self._number = self._place = 0  # index of the next call, and of its next output
        self._call: _Call | None = None  # set until a changed tensor is read
        self._random: list[Tensor] = []
        self._output: Tensor | None = None

    @contextmanager
    def run(self, changed: Collection[Tensor]) -> Iterator[None]:
        """Inside the block, calls of the network reuse what they can from the first run.

        `changed` are the parameters and buffers whose values differ from that run's.
        """
        self._changed = self._always if self._first else {id(tensor) for tensor in changed}
        self._number, self._call, self._output = 0, None, None
        hooks = [
            self._model.register_forward_pre_hook(self._enter),
            self._model.register_forward_hook(self._leave, always_call=True),
        ]
        try:
            with self:
                yield
            self._first = False
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def output(self) -> Tensor:
        """The output of the first call in the last run."""
        assert self._output is not None
        return self._output

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._call is None:
            return func(*args, **kwargs)
        if self._reads_changed(func, args, kwargs) or _is_checkpointed():
            self._call = None
            return func(*args, **kwargs)
        op = _linear(func, args, kwargs)
        if op is None:
            return func(*args, **kwargs)
        if self._first:
            return self._recorded(self._call, op, func(*args, **kwargs))
        return self._replayed(self._call, op, lambda: func(*args, **kwargs))

    def _recorded(self, call: _Call, op: Linear, output: Tensor) -> Tensor:
        self._room -= output.nbytes
        if self._room < 0 or (self._number == 1 and not _is_understood(op, output)):
            self._call = None
        else:
            call.kept.append(_Kept(_signature(op), output.detach().clone()))
        return output

    def _replayed(self, call: _Call, op: Linear, compute: Callable[[], Tensor]) -> Any:
        if self._place >= len(call.kept) or call.kept[self._place].operation != _signature(op):
            self._call = None
            return compute()
        output = call.kept[self._place].output.clone()  # later operations may write into it
        self._place += 1
        if torch.is_grad_enabled() and op.inputs[0].requires_grad:
            return _Replayed.apply(op, output, op.inputs[0])
        return output

    def _enter(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        self._place, images = 0, args[0].detach()
        if self._first:
            self._random = _random_states(images)
            self._call = _Call(images.clone())
            self._calls.append(self._call)
        elif self._number < len(self._calls):
            call = self._calls[self._number]
            self._call = call if _equal(call.images, images) else None
        self._number += 1

    def _leave(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self._call = None
        if self._number == 1 and isinstance(output, Tensor):
            self._output = output.detach()
        if self._first:
            last = self._calls[-1]
            if not all(map(torch.equal, self._random, _random_states(last.images))):
                last.kept.clear()

    def _reads_changed(self, func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
        return _name(func) not in BLIND and _holds((args, kwargs), self._changed)


class _Replayed(torch.autograd.Function):
    """A linear operation that is not run, as its output is known."""

    @staticmethod
    def forward(ctx: Any, op: Linear, output: Tensor, x: Tensor) -> Tensor:
        op.inputs, op.output = (x.detach(),), output
        ctx.op = op  # as in a tape's node, so that rules recognise it in the graph
        return output.detach()

    @staticmethod
    def backward(ctx: Any, *signal: Tensor) -> Any:
        return (None, None, *ctx.op.vjp(signal[0]))


def _linear(func: Any, args: Any, kwargs: dict[str, Any]) -> Linear | None:
    """The operation that is about to run, if it is a linear one with fixed weights, else None."""
    kind = KINDS.get(_name(func), "")
    if kind not in ("conv", "linear"):
        return None
    x, *rest = args or (kwargs["input"],)
    others = {k: v for k, v in kwargs.items() if k != "input"}
    op = (Conv if kind == "conv" else Linear)(kind, func, ((SIGNAL, *rest), others))
    trained = torch.is_grad_enabled() and _any_requires_grad(op.weight, op.bias)
    if trained or (kind == "conv" and x.ndim != op.weight.ndim):
        return None
    op.inputs = (x,)
    return op


def _is_understood(op: Linear, output: Tensor) -> bool:
    """Whether the operation as we understand it reproduces the output, and has a valid adjoint.

    Checked numerically on one input, as a function is identified only by its name.
    """
    one, x, y = copy.copy(op), op.inputs[0][:1].detach(), output[:1].detach()
    one.inputs = (x,)
    with torch._C.DisableTorchFunction():  # these are not the network's own calls
        if not agree(one.run(x), y):
            return False
        forward = (one.apply(x, op.weight) * y).sum()  # <W x, y> = <x, W^T y>
        backward = (x * one.adjoint(y, op.weight)).sum()
        return bool((forward - backward).abs() <= 1e-3 * y.square().sum() + 1e-30)


def _is_checkpointed() -> bool:
    """Whether hooks replace the tensors that autograd saves, as torch.utils.checkpoint does."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def _signature(op: Linear) -> tuple[Any, ...]:
    return (op.kind, op.inputs[0].shape, op.weight.shape, str(op.options))


def _any_requires_grad(*tensors: Tensor | None) -> bool:
    return any(x is not None and x.requires_grad for x in tensors)


def _name(func: Any) -> str:
    """`relu` for torch.relu, `dtype` for reading that attribute."""
    name: str = getattr(func, "__name__", "")
    return getattr(func.__self__, "__name__", name) if name == "__get__" else name


def _holds(arguments: Any, ids: Collection[int]) -> bool:
    """Whether one of the tensors is among the arguments, including lists and mappings."""
    if isinstance(arguments, Tensor):
        return id(arguments) in ids
    if isinstance(arguments, dict):
        arguments = arguments.values()
    elif not isinstance(arguments, (list, tuple)):
        return False
    return any(_holds(x, ids) for x in arguments)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def _random_states(like: Tensor) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(like.device)] if like.is_cuda else states
