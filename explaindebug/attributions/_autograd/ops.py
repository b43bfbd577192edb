"""Operations of a forward pass, as rules see them in the backward pass.

An `Op` replaces an operation in the autograd graph, whether the model called it as a module,
function or method, in place or not. It knows its own gradient (`vjp`); linear ones can also be run
forward and backward with other weights.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.core.errors import UnsupportedModelError

Call = tuple[tuple[Any, ...], dict[str, Any]]
SIGNAL = object()  # placeholder in a call for an argument that depends on the image


class Op:
    """One call of an operation: its inputs, its output, and the gradient between them.

    `inputs` are the arguments that depend on the image, detached. `first` means that no linear
    operation lies between it and the image, `last` that none lies between it and the score. These
    are set after the forward pass, and the marks below them by `canonise`.
    """

    linear = False  # has a weight
    first = last = False
    rectified = False  # a ReLU lies between it and the score
    bottleneck = False  # every path from the image to the score passes through its output
    absorbed = False  # a BatchNorm merged into the linear operation before it
    fixed: frozenset[int] = frozenset()  # inputs that only scale the others: these get no relevance
    gates: frozenset[int] = frozenset()  # inputs between 0 and 1 that weigh the others
    name = ""  # of a linear operation's weight: the module that holds it
    module = ""  # that module, without a mark for further uses
    module_class: type[nn.Module] | None = None  # of that module
    inputs: tuple[Tensor, ...]
    output: Tensor
    _graph: tuple[Tensor, tuple[Tensor, ...]]
    _versions: list[int]

    def __init__(self, kind: str, function: Callable[..., Any], call: Call) -> None:
        self.kind = kind
        self.function = function
        self.call = call

    def run(self, *inputs: Tensor) -> Tensor:
        """The output for other inputs."""
        args, kwargs = self.call
        if len(inputs) == 1 and args and args[0] is SIGNAL:
            return self.function(inputs[0], *args[1:], **kwargs)  # type: ignore[no-any-return]
        signals = iter(inputs)
        args, kwargs = substitute(self.call, lambda x: next(signals) if x is SIGNAL else x)
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]

    def keep(self, inputs: Iterable[Tensor]) -> None:
        """Run the operation and keep what the backward pass needs."""
        with torch.enable_grad():  # a graph of this operation only
            leaves = tuple(x.detach().requires_grad_() for x in inputs)
            end = self.run(*leaves)
        self._graph = end, leaves
        self.inputs, self.output = tuple(x.detach() for x in leaves), end.detach()

    def overwrite(self, inputs: Sequence[Tensor]) -> None:
        """Like `keep`, with the output written to the first input."""
        first = storage(inputs[0])
        self.keep(x.clone() if storage(x) == first else x for x in inputs)
        inputs[0].copy_(self.output)

    def vjp(self, signal: Tensor) -> tuple[Tensor, ...]:
        """The gradient for each input, given the gradient `signal` for the output."""
        end, leaves = self._graph
        return torch.autograd.grad(end, leaves, signal, retain_graph=True)

    def gradients(self, signal: Tensor, places: Sequence[int]) -> tuple[Tensor, ...]:
        """Like `vjp`, for some of the inputs."""
        end, leaves = self._graph
        wanted = [leaves[i] for i in places]
        return torch.autograd.grad(end, wanted, signal, retain_graph=True)

    @property
    def kept(self) -> tuple[Tensor, ...]:
        """The tensors that must not change between the forward and the backward pass."""
        return (*self.inputs, self.output)

    def seal(self) -> None:
        """Record the versions of the kept tensors."""
        self._versions = [x._version for x in self.kept]

    def check(self) -> None:
        """Raises UnsupportedModelError if a kept tensor was overwritten since `seal`."""
        if self._versions != [x._version for x in self.kept]:
            raise UnsupportedModelError(
                f"the input or output of a {self.kind} operation is overwritten in place later in "
                "the forward pass. Use an out-of-place operation there (y = y + x, not y[:] = x)."
            )

    def verify(self) -> None:
        """Raises UnsupportedModelError if a merged operation doesn't reproduce the output."""

    def own(self, address: int) -> None:
        """Copy the tensors in a storage that is about to be overwritten."""
        self.inputs = tuple(x.clone() if storage(x) == address else x for x in self.inputs)
        if storage(self.output) == address:
            self.output = self.output.clone()
        self.seal()


class Late(Op):
    """An operation whose rules seldom ask for its gradient: the graph is made when one does."""

    def keep(self, inputs: Iterable[Tensor]) -> None:
        self.inputs = tuple(x.detach() for x in inputs)
        self.output = self.run(*self.inputs)

    def vjp(self, signal: Tensor) -> tuple[Tensor, ...]:
        return self.gradients(signal, range(len(self.inputs)))

    def gradients(self, signal: Tensor, places: Sequence[int]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            leaves = tuple(x.detach().requires_grad_() for x in self.inputs)
            end = self.run(*leaves)
        return torch.autograd.grad(end, [leaves[i] for i in places], signal)


class Sum(Late):
    """x + y, or another sum or difference."""

    def gradients(self, signal: Tensor, places: Sequence[int]) -> tuple[Tensor, ...]:
        plain = self.function.__name__ == "add" and "alpha" not in self.call[1]
        if plain and all(x.shape == self.output.shape for x in self.inputs):
            return (signal,) * len(places)
        return super().gradients(signal, places)


class Relu(Op):
    """max(x, 0)."""

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0].relu()

    def keep(self, inputs: Iterable[Tensor]) -> None:
        self.inputs = ()  # the output is enough for the backward pass
        self.output = self.run(*inputs)

    def overwrite(self, inputs: Sequence[Tensor]) -> None:
        self.inputs = ()
        self.output = inputs[0].relu_().detach()

    def vjp(self, signal: Tensor) -> tuple[Tensor, ...]:
        return (torch.ops.aten.threshold_backward(signal, self.output, 0),)


class Linear(Op):
    """x W^T + b."""

    linear = True
    merged: "Linear | None" = None  # this operation merged with the BatchNorm after it
    names: tuple[str, ...] = ("input", "weight", "bias")

    def __init__(self, kind: str, function: Callable[..., Any], call: Call) -> None:
        super().__init__(kind, function, call)
        options = dict(zip(self.names, call[0], strict=False)) | call[1]
        del options["input"]
        self.weight: Tensor = options.pop("weight")
        self.bias: Tensor | None = options.pop("bias", None)
        self.options = options  # stride, padding, dilation, groups

    @property
    def layer(self) -> type[nn.Module]:
        """The class of torch's modules that do this operation."""
        return nn.Linear

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The output for another input with other weights."""
        return F.linear(x, weight, bias)

    def adjoint(self, signal: Tensor, weight: Tensor) -> Tensor:
        """The signal for the input, under these weights: signal W."""
        return signal.matmul(weight)

    def correlation(self, signal: Tensor) -> Tensor:
        """The sum of signal x input over all samples and positions, in the weight's shape."""
        return signal.flatten(0, -2).T @ self.inputs[0].flatten(0, -2)

    def run(self, *inputs: Tensor) -> Tensor:
        return self.apply(inputs[0], self.weight, self.bias)

    def keep(self, inputs: Iterable[Tensor]) -> None:
        self.inputs = tuple(x.detach() for x in inputs)
        self.output = self.run(*self.inputs)

    def vjp(self, signal: Tensor) -> tuple[Tensor, ...]:
        return (self.adjoint(signal, self.weight),)

    def verify(self) -> None:
        both = self.merged
        if both is not None and not agree(both.run(*both.inputs), both.output):
            raise UnsupportedModelError(
                f"{self.name} and the BatchNorm after it, merged into one operation, don't "
                f"reproduce the model's output {tuple(both.output.shape)}. Leave the method out "
                "for this model."
            )


class Conv(Linear):
    """W * x + b, in one to three dimensions."""

    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")

    @property
    def layer(self) -> type[nn.Module]:
        return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[self.weight.ndim - 3]

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self.function(x, weight, bias, **self.options)  # type: ignore[no-any-return]

    def adjoint(self, signal: Tensor, weight: Tensor) -> Tensor:
        """The signal for the input, under these weights: the transposed convolution."""
        if isinstance(self.options.get("padding"), str):
            with torch.enable_grad():  # padding="same" may be asymmetric, so let autograd do it
                x = self.inputs[0].detach().requires_grad_()
                return torch.autograd.grad(self.apply(x, weight), x, signal)[0]
        return self._backward(signal, weight, [True, False, False])[0]

    def correlation(self, signal: Tensor) -> Tensor:
        """The sum of signal x input over all samples and positions, in the weight's shape."""
        if isinstance(self.options.get("padding"), str):
            with torch.enable_grad():
                weight = self.weight.detach().requires_grad_()
                return torch.autograd.grad(self.apply(self.inputs[0], weight), weight, signal)[0]
        return self._backward(signal, self.weight, [False, True, False])[1]

    def _backward(self, signal: Tensor, weight: Tensor, mask: list[bool]) -> tuple[Tensor, ...]:
        d = weight.ndim - 2
        stride, padding, dilation = (
            _per_dimension(self.options.get(k, default), d)
            for k, default in (("stride", 1), ("padding", 0), ("dilation", 1))
        )
        transposed, output_padding, groups = False, [0] * d, self.options.get("groups", 1)
        return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
            signal, self.inputs[0], weight, None, stride, padding, dilation,
            transposed, output_padding, groups, mask,
        )  # fmt: skip


def separate(call: Call) -> tuple[Call, list[Tensor]]:
    """The call with placeholders for its signals, and the signals: image-dependent arguments.

    They are recognised by `requires_grad`, as parameters are frozen.
    """
    signals: list[Tensor] = []

    def cut(x: Any) -> Any:
        if isinstance(x, Tensor) and x.requires_grad:
            signals.append(x)
            return SIGNAL
        return x

    return substitute(call, cut), signals


def substitute(call: Call, change: Callable[[Any], Any]) -> Call:
    """The call with `change` applied to every argument, including those in lists and tuples."""
    args, kwargs = call
    changed = tuple([_changed(x, change) for x in args])
    return changed, {k: _changed(x, change) for k, x in kwargs.items()} if kwargs else kwargs


def _changed(x: Any, change: Callable[[Any], Any]) -> Any:
    # At module level: a closure that calls itself is a reference cycle, which would keep a graph's
    # tensors alive until the garbage collector runs.
    if type(x) in (list, tuple):
        return type(x)(_changed(y, change) for y in x)
    return change(x)


def agree(found: Tensor, expected: Tensor) -> bool:
    """Whether two results are equal up to rounding."""
    if found.shape != expected.shape:
        return False
    found, expected = found.detach(), expected.detach()
    size = max(float(x.nan_to_num(posinf=0, neginf=0).abs().max()) for x in (found, expected))
    return torch.allclose(found, expected, rtol=0, atol=1e-3 * size, equal_nan=True)


def storage(x: Tensor) -> int:
    """The address of a tensor's storage, equal for tensors that share memory."""
    return x.untyped_storage().data_ptr()


def _per_dimension(value: Any, d: int) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values * d if len(values) == 1 else values
