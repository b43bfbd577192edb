"""One forward pass that serves several backward rules.

Inside a `Tape`, every operation of the requested kinds is replaced by an `Op`, whose backward calls
the rule that is currently selected. So the model runs once, and each rule costs one backward pass.
Torch functions are intercepted, not modules: a functional, re-used or in-place ReLU is treated like
an `nn.ReLU`. Nothing is registered on the model, so nothing can be left behind, and a tape affects
only its own thread.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explaindebug.attributions._autograd.ops import (
    SIGNAL,
    Call,
    Conv,
    Linear,
    Op,
    Relu,
    separate,
    storage,
)

# Names of torch functions -> kinds of operations.
KINDS = {
    "relu": "relu",
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "linear": "linear",
    "add": "add",
    "sub": "add",
    "mul": "scale",
    "div": "scale",
    "neg": "scale",
    "batch_norm": "batch_norm",
    "avg_pool1d": "mean",
    "avg_pool2d": "mean",
    "avg_pool3d": "mean",
    "adaptive_avg_pool1d": "mean",
    "adaptive_avg_pool2d": "mean",
    "adaptive_avg_pool3d": "mean",
    "mean": "mean",
    "sum": "mean",
}
OPS: dict[str, type[Op]] = {"relu": Relu, "conv": Conv, "linear": Linear}

Propagate = Callable[[Op, Tensor], tuple[Tensor, ...]]


class Tape(TorchFunctionMode):
    """While entered, replaces operations of the given kinds by ones that use `propagate`."""

    def __init__(self, kinds: Collection[str]) -> None:
        super().__init__()
        self.kinds = frozenset(kinds)
        self.propagate: Propagate = lambda op, signal: op.vjp(signal)
        self._keepers: dict[int, list[Op]] = defaultdict(list)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        call: Call = (args, kwargs or {})
        name = getattr(func, "__name__", "")
        kind = _kind(name.removesuffix("_"), call)
        if kind not in self.kinds:
            return func(*call[0], **call[1])
        call, signals = separate(call)
        if not signals:
            return func(*call[0], **call[1])
        in_place = _is_in_place(name, call)
        op = _op(kind, func, call, in_place)
        output = _Node.apply(self, op, in_place, *signals)
        op.seal()  # only now: an in-place operation changes the version when it is done
        return output

    def __exit__(self, *error: Any) -> None:
        self._keepers.clear()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def rescue(self, x: Tensor) -> None:
        """Let operations that keep a tensor copy it before it is overwritten."""
        for op in self._keepers.pop(storage(x), ()):
            op.own(storage(x))

    def remember(self, op: Op) -> None:
        """Record which tensors an operation keeps."""
        for x in op.kept:
            self._keepers[storage(x)].append(op)


class _Node(torch.autograd.Function):
    """An `Op` in the autograd graph."""

    @staticmethod
    def forward(ctx: Any, tape: Tape, op: Op, in_place: bool, *signals: Tensor) -> Tensor:
        ctx.tape, ctx.op = tape, op
        if not in_place:
            op.keep(signals)
            tape.remember(op)
            return op.output.detach()
        tape.rescue(signals[0])
        op.overwrite(signals)
        tape.remember(op)
        ctx.mark_dirty(signals[0])
        return signals[0]

    @staticmethod
    def backward(ctx: Any, *signal: Tensor) -> Any:
        ctx.op.check()
        return (None, None, None, *ctx.tape.propagate(ctx.op, signal[0]))


def _kind(name: str, call: Call) -> str | None:
    if name in ("clamp", "clamp_min", "clip"):
        bounds = dict(zip(("min", "max"), call[0][1:], strict=False)) | call[1]
        low, high = bounds.get("min"), bounds.get("max")
        return "relu" if isinstance(low, int | float) and low == 0 and high is None else None
    if name == "div" and call[1].get("rounding_mode") is not None:
        return None  # a step function
    return KINDS.get(name)


def _is_in_place(name: str, call: Call) -> bool:
    """Whether the result is written to the first argument."""
    flag = call[0][1] if name == "relu" and len(call[0]) > 1 else call[1].get("inplace", False)
    return name.endswith("_") or bool(flag)


def _op(kind: str, func: Callable[..., Any], call: Call, in_place: bool) -> Op:
    args, kwargs = call
    if in_place:  # run it out of place, then overwrite
        func = getattr(Tensor, func.__name__.removesuffix("_"), func)
        kwargs = {k: v for k, v in kwargs.items() if k != "inplace"}
    weights_are_fixed = args[:1] == (SIGNAL,) and SIGNAL not in args[1:]
    if not weights_are_fixed or kind not in OPS:
        return Op(kind, func, (args, kwargs))
    return OPS[kind](kind, func, (args, kwargs))
