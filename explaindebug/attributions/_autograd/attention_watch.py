"""The attention of a network, noted while it runs.

Found by the calls of torch functions: `F.scaled_dot_product_attention` and
`F.multi_head_attention_forward`, which are replaced by the same in single operations, and a softmax
whose output is multiplied by something, as networks write it themselves.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from explaindebug.attributions._autograd.attention import attend, multi_head, require_equal
from explaindebug.attributions._autograd.graph import Node, kind, sources
from explaindebug.core.errors import UnsupportedModelError

PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "einsum"})
MOVES = frozenset({"View", "UnsafeView", "ReshapeAlias", "Expand", "Clone", "ToCopy", "Alias"})


class Made(NamedTuple):
    """A call's output on the way from the images to the logits."""

    number: int  # of the call
    name: str  # of the function
    node: Node
    shape: torch.Size


class Junction(NamedTuple):
    """A call all of whose output goes from one block to the next."""

    number: int
    name: str
    axis: int  # that of the images


class AttentionWatch(TorchFunctionMode):
    """Entered during a forward pass, keeps the weights of each attention, with their graph.

    The network's parameters must be frozen, so that what has a gradient depends on the images.

    Args:
        verify: compare attention that is replaced with the model's own, and note all calls.
        junctions: calls whose outputs are kept. At the last of them the network goes on with a
            batch more for each of them, that of its mean token, before the batch of its own.

    Raises:
        UnsupportedModelError: if attention in single operations has another output, or a junction
            is not where it was.
    """

    def __init__(self, *, verify: bool = False, junctions: Collection[Junction] = ()) -> None:
        super().__init__()
        self.weights: list[Tensor] = []  # as they are multiplied by the values
        self.made: list[Made] = []  # in order, where `verify` is on
        self._verify = verify
        self._junctions = {one.number: one for one in junctions}
        self.pooled: list[Tensor] = []  # the mean token of each junction, in the place of all
        self.joined: Tensor | None = None  # these and the network's own, one after the other
        self._softmaxes: dict[Node, None] = {}
        self._calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        output: Any
        if func is F.scaled_dot_product_attention:
            output = self._attend(*args, **kwargs)
        elif func is F.multi_head_attention_forward:
            output = self._multi_head(*args, **kwargs)
        else:
            output = func(*args, **kwargs)
            self._look(getattr(func, "__name__", ""), args, output)
        if isinstance(output, Tensor) and output.requires_grad:  # others may be hooks' calls
            output = self._count(getattr(func, "__name__", ""), output)
        return output

    def _attend(self, *args: Any, **kwargs: Any) -> Tensor:
        output, weights = attend(*args, **kwargs)
        if self._verify:
            require_equal(output, F.scaled_dot_product_attention(*args, **kwargs))
        self._keep(weights)
        return output

    def _multi_head(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        output, shown, weights = multi_head(*args, **kwargs)
        if self._verify:
            require_equal(output, F.multi_head_attention_forward(*args, **kwargs)[0])
        self._keep(weights)
        return output, shown

    def _look(self, name: str, args: tuple[Any, ...], output: Any) -> None:
        if name == "softmax" and output.requires_grad and output.ndim > 2:
            self._softmaxes[output.grad_fn] = None
        elif name in PRODUCTS:
            for x in _tensors(args):
                if x.requires_grad and self._is_softmax(x.grad_fn):
                    self._keep(x)

    def _is_softmax(self, node: Node) -> bool:
        while node not in self._softmaxes and kind(node) in MOVES:
            node = next(sources(node))
        return node in self._softmaxes

    def _keep(self, weights: Tensor) -> None:
        if weights.requires_grad:
            self.weights.append(weights)

    def _count(self, name: str, output: Tensor) -> Tensor:
        """Give a call its number, and do what is to be done at a junction."""
        number, self._calls = self._calls, self._calls + 1
        if self._verify:
            self.made.append(Made(number, name, output.grad_fn, output.shape))
        junction = self._junctions.get(number)
        if junction is None:
            return output
        if junction.name != name:
            raise UnsupportedModelError(
                f"the network's call {number} is {name} for some inputs and {junction.name} for "
                "others, so its blocks can't be found. Leave legrad out for this model."
            )
        self.pooled.append(output.mean(1 - junction.axis, keepdim=True).expand_as(output))
        if len(self.pooled) < len(self._junctions):
            return output
        self.joined = torch.cat([*self.pooled, output], junction.axis)
        return self.joined


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
