"""How relevance goes through one linear operation: the rules of layer-wise relevance propagation.

A rule is a frozen dataclass: (operation, relevance of its output) -> relevance of its input. Below,
a is the input, w the weight, b the bias, z = a w + b the output and R the relevance; + and - mark
positive and negative parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from explaindebug.attributions._autograd.ops import Linear
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import Registry
from explaindebug.core.validation import number

LayerRule = Callable[[Linear, Tensor], Tensor]
Range = float | tuple[float, ...]  # for all channels, or for each
Bias = Literal["whole", "positive"]

# A rule may say its `extra`: what it computes beyond a backward pass, in forward passes, behind a
# ReLU. Progress bars ask for it.
RULES: Registry[Callable[..., LayerRule]] = Registry(
    "LRP rule", "explaindebug.attributions._autograd"
)


@RULES.register("epsilon")
@dataclass(frozen=True)
class Epsilon:
    """R_j = sum_k a_j w_jk / (z_k + epsilon sgn(z_k)) R_k, with sgn(0) = 1.

    The bias is in z and so keeps its share of the relevance. The larger epsilon, in units of z, the
    less comes through units with a small output.

    Source: Bach et al. 2015, equation 58.
    """

    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        number("epsilon", self.epsilon, above=0, hint="z can be 0.")

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        a, z = op.inputs[0], op.output
        return op.adjoint(over(relevance, stabilised(z, self.epsilon)), op.weight).mul_(a)


@RULES.register("gamma")
@dataclass(frozen=True)
class Gamma:
    """R_j = sum_k (p_jk + gamma p_jk^) / (sum_j' (p_j'k + gamma p_j'k^) + b_k + gamma b_k^) R_k.

    With p_jk = a_j w_jk, and p^ the part of it that has the sign of z_k: p+ where z_k > 0, p- where
    z_k < 0. A unit with z_k = 0 passes nothing. With gamma = 0 this is Epsilon without an epsilon;
    the larger gamma, the closer it is to ZPlus.

    Source: Montavon et al. 2019, section 10.2.3, for inputs that are not negative; Andeol et al.
    2021 for all.
    """

    gamma: float = 0.25

    extra: ClassVar[float] = 1

    def __post_init__(self) -> None:
        number("gamma", self.gamma, least=0)

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        if op.inputs[0].amin() < 0:
            return self._of_both_signs(op, relevance)
        found = torch.zeros_like(op.inputs[0])
        for sign in (1, -1):
            part = relevance * (sign * op.output > 0)
            if part.any():  # behind a ReLU nothing comes to units with z < 0
                above, bias = self._raised(op.weight, sign), None
                if op.bias is not None:
                    bias = self._raised(op.bias, sign)
                found += by_parts(op, part, above, partial(self._raised, op.weight, -sign), bias)
        return found

    def _of_both_signs(self, op: Linear, relevance: Tensor) -> Tensor:
        """The same for inputs of both signs, where p^ = (p + sgn(z) |p|) / 2.

        So the denominator is sgn(z) ((1 + gamma/2) |z| + gamma/2 sum_j |p_jk|), with the bias in
        both sums, and one pass with |a| and |w| does for units of either sign.
        """
        a, z, half = op.inputs[0], op.output, self.gamma / 2
        size, weight = a.abs(), op.weight.abs()
        total = op.apply(size, weight, None if op.bias is None else op.bias.abs())
        sign = z.sign()
        share = ratio(relevance, total.mul_(half).add_(z.abs(), alpha=1 + half)).mul_(sign)
        found = op.adjoint(share * (1 + half), op.weight).mul_(a)
        return found.addcmul_(op.adjoint(share.mul_(sign).mul_(half), weight), size)

    def _raised(self, x: Tensor, sign: int) -> Tensor:
        """A copy of x plus gamma times its part of that sign."""
        above, below = _halves(x)
        return (above if sign > 0 else below).mul_(self.gamma).add_(x)


@RULES.register("alpha_beta")
@dataclass(frozen=True)
class AlphaBeta:
    """R_j = sum_k (alpha p_jk+ / (sum_j' p_j'k+ + b_k+) - beta p_jk- / (sum_j' p_j'k- + b_k-)) R_k.

    With p_jk = a_j w_jk, and alpha - beta = 1: what speaks for a unit is weighed against what
    speaks against it. A unit without one of the two passes on the other share alone.

    Source: Bach et al. 2015, equation 60.
    """

    alpha: float = 2.0
    beta: float = 1.0

    extra: ClassVar[float] = 3

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            number(name, value, least=0)
        if abs(self.alpha - self.beta - 1) > 1e-9:
            raise ConfigError(
                f"alpha - beta must be 1, got alpha {self.alpha} and beta {self.beta}: else each "
                "layer multiplies the relevance."
            )

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        up, down = _halves(op.weight)
        over_0, under_0 = (None, None) if op.bias is None else _halves(op.bias)
        found = by_parts(op, relevance, up, lambda: down, over_0).mul_(self.alpha)
        if self.beta:
            found -= by_parts(op, relevance, down, lambda: up, under_0).mul_(self.beta)
        return found


@RULES.register("zplus")
@dataclass(frozen=True)
class ZPlus:
    """R_j = sum_k p_jk+ / (sum_j' p_j'k+ + b_k) R_k, where p_jk = a_j w_jk: alpha 1, beta 0.

    So p+ = a+ w+ + a- w-: negative inputs count too. The `whole` bias is in the denominator, as in
    innvestigate, or only its `positive` part, as in zennit and captum. For a unit whose relevance
    comes through its own ReLU the denominator is at least z > 0 either way. Behind a residual sum
    units with z < 0 have relevance, too, and the whole bias can bring their denominators to zero:
    shares there are large, of either sign, and lost in rounding.

    Source: Bach et al. 2015, equation 60, with alpha = 1 and beta = 0; Montavon et al. 2017.
    """

    bias: Bias = "positive"

    extra: ClassVar[float] = 1

    def __post_init__(self) -> None:
        if self.bias not in ("whole", "positive"):
            raise ConfigError(f"bias is whole or positive, got {self.bias!r}.")

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        b = op.bias
        if b is not None and self.bias == "positive":
            b = b.clamp(min=0)
        up = op.weight.clamp(min=0)
        return by_parts(op, relevance, up, lambda: op.weight.clamp(max=0), b)


@RULES.register("flat")
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


@RULES.register("wsquare")
@dataclass(frozen=True)
class WSquare:
    """R_j = sum_k w_jk^2 / (sum_j' w_j'k^2) R_k; weights on padding don't count.

    Source: Montavon et al. 2017, the rule for unbounded inputs.
    """

    def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
        ones, weight = torch.ones_like(op.inputs[0][:1]), op.weight.square()
        return op.adjoint(relevance / nonzero(op.apply(ones, weight)), weight)


@RULES.register("zbox")
@dataclass(frozen=True)
class ZBox:
    """R_j = sum_k (a w - l w+ - h w-)_jk / (sum_j' (a w - l w+ - h w-)_j'k) R_k, l <= a <= h.

    Each term is at least 0, and the bias has no share. `low` (l) and `high` (h) are the smallest
    and largest value that an input can have, for all channels or for each.

    Source: Montavon et al. 2017, the z^B rule.
    """

    low: Range | Sequence[float]
    high: Range | Sequence[float]

    extra: ClassVar[float] = 2

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, _range(name, getattr(self, name)))
        lows, highs = (x if isinstance(x, tuple) else (x,) for x in (self.low, self.high))
        if len(lows) != len(highs) and 1 not in (len(lows), len(highs)):
            raise ConfigError(f"{len(lows)} values given as low, but {len(highs)} as high.")
        n = max(len(lows), len(highs))
        pairs = zip(lows * (n // len(lows)), highs * (n // len(highs)), strict=True)
        if not all(a < b for a, b in pairs):
            raise ConfigError(
                f"low must be below high in every channel, got {self.low} and {self.high}."
            )

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


def by_parts(
    op: Linear,
    relevance: Tensor,
    above: Tensor,
    below: Callable[[], Tensor],
    bias: Tensor | None,
) -> Tensor:
    """R_j = sum_k q_jk / (sum_j' q_j'k + b_k) R_k, where q_jk = a_j+ v_jk + a_j- u_jk.

    The weights v are `above`, for positive inputs, and u are `below`, for negative ones: they are
    asked for where there are any.
    """
    a = op.inputs[0]
    if a.amin() >= 0:  # behind a ReLU: the other half is zero
        return op.adjoint(ratio(relevance, op.apply(a, above, bias)), above).mul_(a)
    positive, negative, weight = a.clamp(min=0), a.clamp(max=0), below()
    share = ratio(relevance, op.apply(positive, above, bias) + op.apply(negative, weight))
    return op.adjoint(share, above).mul_(positive).addcmul_(op.adjoint(share, weight), negative)


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


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.clamp(min=0), x.clamp(max=0)


def _range(name: str, value: float | Sequence[float]) -> Range:
    """One number, or one for each channel, in a form that can be hashed."""
    values = (value,) if isinstance(value, int | float | str) else tuple(value)
    for one in values:
        number(name, one)
    return float(values[0]) if isinstance(value, int | float) else tuple(map(float, values))


def _per_channel(value: Range | Sequence[float], a: Tensor) -> Tensor:
    values = a.new_tensor(value if isinstance(value, tuple) else (value,))
    if a.ndim == 2 and a.shape[1] % len(values) == 0:  # flattened: channel after channel
        values = values.repeat_interleave(a.shape[1] // len(values))
    if len(values) not in (1, a.shape[1]):
        raise ConfigError(
            f"{len(values)} values given as low or high, but the first layer sees {a.shape[1]} "
            "channels. Give one number, or one for each channel."
        )
    return values.reshape(1, -1, *[1] * (a.ndim - 2))
