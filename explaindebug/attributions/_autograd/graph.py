"""The autograd graph between a score and the image: what a forward pass computed.

An operation has one name in the graph (`GeluBackward0`), however a model calls it, and only
operations between the image and the score appear.
"""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from explaindebug.attributions._autograd.ops import Op

Node = Any  # torch.autograd.graph.Node, and the contexts of autograd.Function

# Names of nodes and functions, in small letters -> names that people use.
NAMES = {
    **dict.fromkeys(("nativelayernorm", "layer_norm"), "LayerNorm"),
    **dict.fromkeys(("nativegroupnorm", "group_norm"), "GroupNorm"),
    **dict.fromkeys(("nativebatchnorm", "batch_norm"), "BatchNorm"),
    **dict.fromkeys(("fusedrmsnorm", "rms_norm"), "RMSNorm"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolutionbackward"), "convolution"),
    **dict.fromkeys(("add", "sub", "rsub", "__rsub__"), "sum"),
    **dict.fromkeys(("mul", "mm", "bmm", "matmul", "einsum", "__rmatmul__"), "product"),
    **dict.fromkeys(("div", "reciprocal"), "quotient"),
    **dict.fromkeys(("leakyrelu", "leaky_relu"), "LeakyReLU"),
    **{"pow": "power", "exp": "exponential", "softmax": "Softmax"},
    **{"gelu": "GELU", "silu": "SiLU", "glu": "GLU", "elu": "ELU"},
    **{"sigmoid": "Sigmoid", "tanh": "Tanh", "hardtanh": "Hardtanh", "hardswish": "Hardswish"},
    **{
        "relu": "ReLU",
        "hardsigmoid": "Hardsigmoid",
        "softplus": "Softplus",
        "relu6": "ReLU6",
        "mish": "Mish",
    },
}
# Operations that only move values. The image itself counts as one.
_SHAPE = """
    AccumulateGrad Alias AsStrided Cat Clone ConstantPadNd Copy Expand Flip Gather Index
    IndexSelect Permute PixelShuffle PixelUnshuffle Repeat ReshapeAlias Roll Select Slice Split
    SplitWithSizes Squeeze Stack T ToCopy Transpose Unbind UnsafeSplit UnsafeView Unsqueeze
    View
"""
SHAPE = frozenset(_SHAPE.split())
FINAL_ACTIVATIONS = frozenset({"Sigmoid", "Softmax", "LogSoftmax", "LogSigmoid"})


class Graph:
    """All operations between the image and a score (n,), those next to the image first.

    Marks each `Op` as `first` or `last` if no linear operation precedes or follows it. `rerun`
    computes the score again; it is called only to find the modules in which operations ran.
    """

    def __init__(self, score: Tensor, model: nn.Module, rerun: Callable[[], Tensor]) -> None:
        self.nodes = nodes_of(score)
        self.model = model
        self._rerun = rerun
        self._mark()

    def where(self, unwanted: Callable[[Node], bool]) -> list[str]:
        """`["GELU in act1, act2, act3 and 7 more", ...]` for the operations that are not wanted."""
        if not any(map(unwanted, self.nodes)):
            return []
        modules = self.modules()
        found: dict[str, dict[str, None]] = {}
        for node in filter(unwanted, self.nodes):
            found.setdefault(called(node), {})[modules[node]] = None
        return [f"{operation} in {few(list(places))}" for operation, places in found.items()]

    def modules(self) -> dict[Node, str]:
        """The innermost module that each operation runs in; computes the score once more."""
        with _spans(self.model) as spans:
            again = nodes_of(self._rerun())
        return {a: _module(b, spans) for a, b in zip(self.nodes, again, strict=True)}

    @property
    def ops(self) -> list[Op]:
        """The `Op`s between the image and the score, those next to the image first."""
        return [op for op in map(op_of, self.nodes) if op is not None]

    def has(self, wanted: str) -> bool:
        """Whether an `Op` of this kind lies between the image and the score."""
        return any(op.kind == wanted for op in self.ops)

    def reached(self, constant: Callable[[Op], Collection[int]]) -> set[Node]:
        """The nodes on a way back from the score that takes no input that counts as constant."""
        found: set[Node] = set()
        stack = self.nodes[-1:]
        while stack:
            node = stack.pop()
            if node in found:
                continue
            found.add(node)
            left_out = constant(op) if (op := op_of(node)) is not None else ()
            for i, (source, _) in enumerate(node.next_functions):
                if source is not None and i not in left_out:
                    stack.append(source)
        return found

    def _mark(self) -> None:
        before: dict[Node, bool] = {}  # is it, or does it follow, a linear operation?
        behind: dict[Node, bool] = dict.fromkeys(self.nodes, False)
        for node in self.nodes:
            earlier = any(before[source] for source in sources(node))
            before[node] = earlier or _is_linear(node)
            if op := op_of(node):
                op.first = not earlier
        for node in reversed(self.nodes):
            if op := op_of(node):
                op.last = not behind[node]
            for source in sources(node):
                behind[source] |= behind[node] or _is_linear(node)


def op_of(node: Node) -> Op | None:
    """The `Op` of a node, or None for nodes without one."""
    op = getattr(node, "op", None)
    return op if isinstance(op, Op) else None  # a model's own Function may have an `op` as well


def kind(node: Node) -> str:
    """`Gelu` for a `GeluBackward0`; for an `Op` its kind, as in `relu`."""
    op = op_of(node)
    return op.kind if op else re.sub(r"Backward\d*$", "", node.name()).split("::")[-1]


def called(node: Node) -> str:
    """What people call an operation: `LayerNorm` for a `NativeLayerNormBackward0`."""
    op = op_of(node)
    if isinstance(node, BackwardCFunction) and op is None:
        return kind(node)  # a model's own
    name = kind(node) if op is None else op.function.__name__.removesuffix("_")
    if name.startswith("ScaledDotProduct"):
        return "attention"
    return NAMES.get(name.lower(), name)


def foreign(allowed: Collection[str]) -> Callable[[Node], bool]:
    """Predicate: a node without an `Op` and of a kind that is not allowed.

    A model's own `torch.autograd.Function` is never allowed, whatever its name, as its backward
    may do anything.
    """

    def is_foreign(node: Node) -> bool:
        own = isinstance(node, BackwardCFunction)
        return op_of(node) is None and (own or kind(node) not in allowed)

    return is_foreign


def final_activation(logits: Tensor) -> str | None:
    """`Softmax` or the like if a model's outputs come from one, else None."""
    node = logits.grad_fn
    while node is not None and kind(node) in SHAPE | {"Clamp", "ClampMin"}:
        node = next(iter(sources(node)), None)
    return kind(node) if node is not None and kind(node) in FINAL_ACTIVATIONS else None


def sources(node: Node) -> Iterator[Node]:
    """The nodes that a node's inputs come from."""
    return (source for source, _ in node.next_functions if source is not None)


def _is_linear(node: Node) -> bool:
    op = op_of(node)
    return op is not None and op.linear


def nodes_of(output: Tensor) -> list[Node]:
    """All operations that an output depends on, those next to the inputs first."""
    end = output.grad_fn
    order: dict[Node, None] = {}
    stack: list[tuple[Node, bool]] = [] if end is None else [(end, False)]
    while stack:
        node, sources_done = stack.pop()
        if node in order:
            continue
        if sources_done:
            order[node] = None
        else:
            stack.append((node, True))
            stack.extend((source, False) for source in sources(node) if source not in order)
    return list(order)


@contextmanager
def _spans(model: nn.Module) -> Iterator[list[tuple[int, int, str]]]:
    """Collects (first node, last node, name) of every module that runs, inner modules first."""
    spans: list[tuple[int, int, str]] = []
    started: list[int] = []
    handles = []
    for name, module in model.named_modules():

        def enter(*_: Any) -> None:
            started.append(_now())

        def leave(*_: Any, name: str = name) -> None:
            spans.append((started.pop(), _now(), name or type(model).__name__))

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield spans
    finally:
        for handle in handles:
            handle.remove()


def _now() -> int:
    """Autograd's sequence number in this thread; each call increases it by one."""
    with torch.enable_grad():
        node: Node = torch.ones((), requires_grad=True).view(()).grad_fn
    return int(node._sequence_nr())


def _module(node: Node, spans: list[tuple[int, int, str]]) -> str:
    number = node._sequence_nr()
    return next((name for start, end, name in spans if start < number < end), "the score")


def few(names: list[str], most: int = 3) -> str:
    """The first few names, and the number of others."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
