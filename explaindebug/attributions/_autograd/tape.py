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
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explaindebug.attributions._autograd.attention import attend, multi_head, require_equal
from explaindebug.attributions._autograd.norms import NORMS, Norm
from explaindebug.attributions._autograd.ops import (
    SIGNAL,
    Call,
    Conv,
    Late,
    Linear,
    Op,
    Relu,
    Sum,
    separate,
    storage,
)

ACTIVATIONS = """
    gelu silu hardswish mish erf sigmoid hardsigmoid tanh softplus
    hardtanh relu6 leaky_relu elu selu celu
"""
# Names of torch functions -> kinds of operations.
KINDS = {
    "relu": "relu",
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "linear": "linear",
    "add": "add",
    "sub": "add",
    "rsub": "add",
    "__rsub__": "add",
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
    **dict.fromkeys(ACTIVATIONS.split(), "activation"),
    **dict.fromkeys(NORMS, "norm"),
    "softmax": "softmax",
    "matmul": "product",
    "__matmul__": "product",
    "__rmatmul__": "product",
    "bmm": "product",
    "einsum": "product",
    "cat": "join",
    "concat": "join",
    "concatenate": "join",
    "stack": "join",
}
OPS: dict[str, type[Op]] = {"activation": Late, "softmax": Late, "add": Sum}
WITH_WEIGHTS: dict[str, type[Op]] = {"relu": Relu, "conv": Conv, "linear": Linear, "norm": Norm}
# In one piece -> the same in single operations, and the place of the output that goes on.
FUSED: dict[Any, Callable[..., Any]] = {
    F.scaled_dot_product_attention: lambda *args, **kwargs: attend(*args, **kwargs)[0],
    F.multi_head_attention_forward: lambda *args, **kwargs: multi_head(*args, **kwargs)[:2],
}

Propagate = Callable[[Op, Tensor], tuple[Tensor | None, ...]]


class Tape(TorchFunctionMode):
    """While entered, replaces operations of the given kinds by ones that use `propagate`.

    Where the softmax is among them, attention in one piece is replaced by single operations, each
    with its place on the tape; `verify` compares their output with the model's own.

    Raises:
        UnsupportedModelError: if that differs.
    """

    def __init__(self, kinds: Collection[str], *, verify: bool = False) -> None:
        super().__init__()
        self.kinds = frozenset(kinds)
        self._verify = verify
        self.propagate: Propagate = lambda op, signal: op.vjp(signal)
        self._keepers: dict[int, list[Op]] = defaultdict(list)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        whole: Call = (args, kwargs or {})
        if func in FUSED and "softmax" in self.kinds:
            return self._in_single_operations(func, whole)
        name = getattr(func, "__name__", "")
        kind = _kind(name if name.endswith("__") else name.removesuffix("_"), whole)
        if kind not in self.kinds and not (kind == "scale" and "product" in self.kinds):
            return func(*whole[0], **whole[1])
        call, signals = separate(whole)
        if kind == "scale" and len(signals) > 1:
            kind = "product"
        if kind not in self.kinds or not signals or (kind == "join" and not _has_constants(call)):
            return func(*whole[0], **whole[1])
        in_place = _is_in_place(name, call)
        op = _op(kind, func, call, in_place)
        output = _Node.apply(self, op, in_place, *signals)
        op.seal()  # only now: an in-place operation changes the version when it is done
        return output

    def _in_single_operations(self, func: Callable[..., Any], call: Call) -> Any:
        args, kwargs = call
        super().__enter__()  # type: ignore[no-untyped-call]
        try:
            output = FUSED[func](*args, **kwargs)
        finally:
            super().__exit__(None, None, None)  # type: ignore[no-untyped-call]
        if self._verify:
            require_equal(_first(output), _first(func(*args, **kwargs)))
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
        ctx.set_materialize_grads(False)  # no signal means that all before is left out
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
    def backward(ctx: Any, *signal: Tensor | None) -> Any:
        if signal[0] is None:
            return (None, None, None, *[None] * len(ctx.needs_input_grad[3:]))
        ctx.op.check()
        return (None, None, None, *ctx.tape.propagate(ctx.op, signal[0]))


def _kind(name: str, call: Call) -> str | None:
    if name in ("clamp", "clamp_min", "clip"):
        bounds = dict(zip(("min", "max"), call[0][1:], strict=False)) | call[1]
        low, high = bounds.get("min"), bounds.get("max")
        if isinstance(low, int | float) and low == 0 and high is None:
            return "relu"
        fixed = all(x is None or isinstance(x, int | float) for x in (low, high))
        return "activation" if fixed else None
    if name == "div" and call[1].get("rounding_mode") is not None:
        return None  # a step function
    return KINDS.get(name)


def _is_in_place(name: str, call: Call) -> bool:
    """Whether the result is written to the first argument."""
    flag = call[0][1] if name == "relu" and len(call[0]) > 1 else call[1].get("inplace", False)
    return (name.endswith("_") and not name.endswith("__")) or bool(flag)


def _has_constants(call: Call) -> bool:
    """Whether tensors that don't depend on the image are among those that are joined."""
    parts = call[0][0] if call[0] else call[1].get("tensors", ())
    return any(isinstance(x, Tensor) for x in parts)


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _op(kind: str, func: Callable[..., Any], call: Call, in_place: bool) -> Op:
    args, kwargs = call
    if in_place:  # run it out of place, then overwrite
        name = func.__name__.removesuffix("_")
        func = getattr(Tensor, name, getattr(F, name, func))
        kwargs = {k: v for k, v in kwargs.items() if k != "inplace"}
    # By identity: to compare a tensor with it would take as long as a small operation.
    weights_are_fixed = [i for i, x in enumerate(args) if x is SIGNAL] == [0]
    known = WITH_WEIGHTS.get(kind) if weights_are_fixed else None
    return (known or OPS.get(kind, Op))(kind, func, (args, kwargs))
