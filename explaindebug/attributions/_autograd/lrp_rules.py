"""How relevance goes through one linear operation: the rules of layer-wise relevance propagation.

A rule is a frozen dataclass: (operation, relevance of its output) -> relevance of its input. Below,
a is the input, w the weight, b the bias, z = a w + b the output and R the relevance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from explaindebug.attributions._autograd.ops import Linear, Op
from explaindebug.core.errors import ConfigError

LayerRule = Callable[[Linear, Tensor], Tensor]
Range = float | tuple[float, ...]  # for all channels, or for each
Bias = Literal["whole", "positive"]


@dataclass(frozen=True)
class Epsilon:
    """R_j = sum_k a_j w_jk / (z_k + epsilon sgn(z_k)) R_k, with sgn(0) = 1.

    The bias is in z and so keeps its share of the relevance.

    Source: Bach et al. 2015, equation 58.
    """

    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ConfigError(f"epsilon must be above 0, got {self.epsilon}: z can be 0.")

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        a, z = op.inputs[0], op.output
        return op.adjoint(over(relevance, stabilised(z, self.epsilon)), op.weight).mul_(a)


@dataclass(frozen=True)
class Alpha1Beta0:
    """R_j = sum_k (a+ w+ + a- w-)_jk / (sum_j' (a+ w+ + a- w-)_j'k + b_k) R_k.

    With a+ = max(a, 0), a- = min(a, 0) and so on, so that negative inputs count too. The `whole`
    bias is in the denominator, as in innvestigate, or only its `positive` part, as in zennit and
    captum. For a unit whose relevance comes through its own ReLU the denominator is at least z > 0
    either way. Behind a residual sum units with z < 0 have relevance, too, and the whole bias can
    bring their denominators to zero: shares there are large, of either sign, and lost in rounding.

    Source: Bach et al. 2015, equation 60, with alpha = 1 and beta = 0.
    """

    bias: Bias = "whole"

    def __post_init__(self) -> None:
        if self.bias not in ("whole", "positive"):
            raise ConfigError(f"bias is whole or positive, got {self.bias!r}.")

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        a, up, b = op.inputs[0], op.weight.clamp(min=0), op.bias
        if b is not None and self.bias == "positive":
            b = b.clamp(min=0)
        if a.amin() >= 0:  # behind a ReLU: the other half is zero
            return op.adjoint(ratio(relevance, op.apply(a, up, b)), up).mul_(a)
        positive, negative, down = a.clamp(min=0), a.clamp(max=0), op.weight.clamp(max=0)
        share = ratio(relevance, op.apply(positive, up, b) + op.apply(negative, down))
        return op.adjoint(share, up).mul_(positive).addcmul_(op.adjoint(share, down), negative)


@dataclass(frozen=True)
class Flat:
    """R_j = sum_k R_k / n_k, where n_k counts the inputs under unit k; padding is none.

    Source: Bach et al. 2016; Lapuschkin et al. 2019.
    """

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        ones = torch.ones_like(op.inputs[0][:1])
        if op.options.get("groups", 1) > 1:
            weight = torch.ones_like(op.weight)
        else:  # all units share alike, so their sum can be spread
            weight = torch.ones_like(op.weight[:1])
            relevance = relevance.sum(1 - op.weight.ndim, keepdim=True)
        return op.adjoint(relevance / nonzero(op.apply(ones, weight)), weight)


@dataclass(frozen=True)
class WSquare:
    """R_j = sum_k w_jk^2 / (sum_j' w_j'k^2) R_k; weights on padding don't count.

    Source: Montavon et al. 2017, the rule for unbounded inputs.
    """

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        ones, weight = torch.ones_like(op.inputs[0][:1]), op.weight.square()
        return op.adjoint(relevance / nonzero(op.apply(ones, weight)), weight)


@dataclass(frozen=True)
class ZBox:
    """R_j = sum_k (a w - l w+ - h w-)_jk / (sum_j' (a w - l w+ - h w-)_j'k) R_k, l <= a <= h.

    Each term is at least 0, and the bias has no share. `low` (l) and `high` (h) are the smallest
    and largest value that an input can have, for all channels or for each.

    Source: Montavon et al. 2017, the z^B rule.
    """

    low: Range
    high: Range

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        # a w - l w+ - h w- = (a - h) w + (h - l) w+
        a, up = op.inputs[0], op.weight.clamp(min=0)
        low, high = _per_channel(self.low, a), _per_channel(self.high, a)
        self._check(a, low, high)
        below, width = a - high, (high - low).expand_as(a[:1])
        share = ratio(relevance, op.apply(below, op.weight) + op.apply(width, up))
        return op.adjoint(share, op.weight).mul_(below).addcmul_(op.adjoint(share, up), width)

    def _check(self, a: Tensor, low: Tensor, high: Tensor) -> None:
        slack = 1e-4 * (high - low)
        if bool(((a < low - slack) | (a > high + slack)).any()):
            raise ConfigError(
                f"the z^B rule was given inputs between {self.low} and {self.high}, but the first "
                f"layer sees values from {float(a.min()):.4g} to {float(a.max()):.4g}. Give the "
                "range as that layer sees it, after normalisation: (0 - mean) / std to "
                "(1 - mean) / std."
            )


def z_rule(op: Op, relevance: Tensor) -> tuple[Tensor, ...]:
    """R_i = x_i dz/dx_i R / z for each input x_i of a sum or mean z; 0 where z is 0.

    Source: Bach et al. 2015, equation 56.
    """
    gradients = op.vjp(ratio(relevance, op.output))
    return tuple(x * g for x, g in zip(op.inputs, gradients, strict=True))


# Written with `out` and in place: fresh memory and `torch.where` can cost more than a convolution.


def ratio(relevance: Tensor, z: Tensor) -> Tensor:
    """R / z, where a z of zero (or so small that the ratio overflows) counts as 1."""
    return over(relevance, nonzero(z))


def over(relevance: Tensor, z: Tensor) -> Tensor:
    """R / z, written to z."""
    return torch.div(relevance, z, out=z)


def nonzero(z: Tensor) -> Tensor:
    """A copy of z that is 1 where |z| < 1e-30."""
    size = z.abs()
    return torch.lt(size, 1e-30, out=size).add_(z)


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """The denominator z + epsilon sgn(z), with sgn(0) = 1."""
    return torch.copysign(z.new_tensor(epsilon), z).add_(z)


def _per_channel(value: Range, a: Tensor) -> Tensor:
    values = a.new_tensor(value if isinstance(value, tuple) else (value,))
    if a.ndim == 2 and a.shape[1] % len(values) == 0:  # flattened: channel after channel
        values = values.repeat_interleave(a.shape[1] // len(values))
    if len(values) not in (1, a.shape[1]):
        raise ConfigError(
            f"{len(values)} values given as low or high, but the first layer sees {a.shape[1]} "
            "channels. Give one number, or one for each channel."
        )
    return values.reshape(1, -1, *[1] * (a.ndim - 2))
