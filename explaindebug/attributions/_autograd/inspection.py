"""Find gates that the autograd graph does not show, because autograd treats them as constants.

A rule for ReLUs must see all of them. In `x * (x > 0)` autograd sees a product with a constant, in
`(x + (x * x).sqrt()) / 2` only smooth operations, so a list of names can't find them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explaindebug.attributions._autograd.graph import SHAPE, Graph, Node, kind, op_of, sources
from explaindebug.attributions._autograd.ops import storage
from explaindebug.core.errors import UnsupportedModelError

# Functions that read only a tensor's shape, dtype and device.
_BLIND: frozenset[Any] = frozenset(
    {
        *(torch.zeros_like, torch.ones_like, torch.full_like, torch.empty_like),
        *(torch.rand_like, torch.randn_like, torch.randint_like),
        *(Tensor.new_zeros, Tensor.new_ones, Tensor.new_full, Tensor.new_empty),
        *(Tensor.new_empty_strided, Tensor.new_tensor),
    }
)
TOLERANCE = 1e-5  # relative to a tensor's largest value, for two ways to compute max(z, 0)


class _Signed(NamedTuple):
    """A tensor with values of both signs, and the sums of max(z, 0) and of |z|."""

    node: Node
    value: Tensor
    positive: float
    absolute: float


class Inspection(TorchFunctionMode):
    """Entered during a forward pass of one image, records gates that the graph does not show.

    Enter it after a `Tape`, so that it sees both the model's calls and the tape's results. It keeps
    a copy of most activations, so use it with one image, once per network.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hidden: dict[int, Tensor] = {}  # by storage: computed from the image, no gradient
        self._unexplained: set[Node] = set()  # operations that use one of these
        self._noted: set[tuple[Node, int]] = set()
        self._signed: dict[torch.Size, list[_Signed]] = defaultdict(list)
        self._gates: list[tuple[Node, Node]] = []  # z and max(z, 0) or |z|

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _BLIND:
            return func(*args, **kwargs)
        given = list(_tensors((args, kwargs)))
        with torch._C.DisableTorchFunction():  # the tape must not record these operations
            for x in given:
                self._note(x)
            hidden = [x for x in given if self._is_hidden(x)]
            known = bool(hidden) or any(x.requires_grad for x in given)
        output = func(*args, **kwargs)
        if known:
            with torch._C.DisableTorchFunction():
                self._look(hidden, args[:1] if output is None else output)  # None: y[mask] = 0
        return output

    def unexplained(self, graph: Graph) -> Collection[Node]:
        """Operations that depend on the image in a way that has no gradient.

        These take a mask or a detached tensor that was computed from the image, or yield max(z, 0)
        or |z| of an earlier z without a ReLU in between.
        """
        gates = {gate for z, gate in self._gates if _leads(z, gate)}
        return {node for node in graph.nodes if node in self._unexplained or node in gates}

    def _look(self, hidden: Collection[Tensor], output: Any) -> None:
        for x in _tensors(output):
            if not x.requires_grad:
                if x.layout == torch.strided:
                    self._hidden[storage(x)] = x
                continue
            self._note(x)
            moves = kind(x.grad_fn) in SHAPE  # by integer indices, as max-pooling does
            if any(not moves or _is_mask(part) for part in hidden):
                self._unexplained.add(x.grad_fn)

    def _is_hidden(self, x: Tensor) -> bool:
        strided = not x.requires_grad and x.layout == torch.strided
        return strided and storage(x) in self._hidden

    def _note(self, x: Tensor) -> None:
        node = x.grad_fn
        if node is None or not x.is_floating_point() or (node, x.output_nr) in self._noted:
            return
        self._noted.add((node, x.output_nr))
        value = x.detach()
        if not value.numel() or not value.any():
            return
        low, high = (float(bound) for bound in value.aminmax())
        slack = TOLERANCE * max(-low, high)
        if low >= -slack:
            self._compare(node, value, slack)
        elif high > slack:
            total, size = float(value.sum()), float(value.abs().sum())
            signed = _Signed(node, value.clone(), (total + size) / 2, size)
            self._signed[value.shape].append(signed)

    def _compare(self, node: Node, value: Tensor, slack: float) -> None:
        if (op := op_of(node)) is not None and op.kind in ("relu", "activation"):
            return
        size = float(value.sum())
        for z in self._signed[value.shape]:
            for total, part in ((z.positive, torch.relu), (z.absolute, torch.abs)):
                close = abs(size - total) <= 1e-3 * size
                if close and bool(((part(z.value) - value).abs() <= slack).all()):
                    self._gates.append((z.node, node))


def require_explained(graph: Graph, inspection: Inspection) -> None:
    """Raises UnsupportedModelError, with the modules, if inspection found gates without a rule."""
    nodes = inspection.unexplained(graph)
    if found := graph.where(lambda node: node in nodes):
        raise UnsupportedModelError(
            f"{type(graph.model).__name__} has a gate that autograd treats as a constant or a "
            f"smooth function: {', '.join(found)}. A mask computed from the image, as in "
            "x * (x > 0), a detached tensor, or max(x, 0) and |x| in disguise can't be "
            "distinguished from other operations. Write a ReLU as F.relu or x.clamp(min=0), or "
            "leave the method out for this model."
        )


def _leads(start: Node, end: Node) -> bool:
    """Whether a path leads from one node to another without passing a ReLU."""
    seen, stack = {end}, [end]
    while stack:
        node = stack.pop()
        if node is start:
            return True
        if (op := op_of(node)) is not None and op.kind in ("relu", "activation"):
            continue
        new = [source for source in sources(node) if source not in seen]
        seen.update(new)
        stack.extend(new)
    return False


def _is_mask(x: Tensor) -> bool:
    return x.dtype == torch.bool or x.is_floating_point()


def _tensors(values: Any) -> Iterator[Tensor]:
    """All tensors, including those in lists and mappings."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
