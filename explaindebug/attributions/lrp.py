"""Layer-wise relevance propagation: which rule goes where.

All of them start from the logit's value and share one forward pass. What is not linear passes
relevance on: ReLU, dropout and reshaping unchanged, max-pooling to the winner. Sums and averages
(residual additions, average pooling) follow the z-rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from explaindebug.attributions._autograd.backward import Backward, Rule
from explaindebug.attributions._autograd.canonizer import KINDS, canonise, is_elementwise, require
from explaindebug.attributions._autograd.graph import Graph
from explaindebug.attributions._autograd.lrp_rules import (
    Alpha1Beta0,
    Bias,
    Epsilon,
    Flat,
    LayerRule,
    Range,
    WSquare,
    ZBox,
    z_rule,
)
from explaindebug.attributions._autograd.ops import Linear, Op
from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method
from explaindebug.core.errors import ConfigError


@dataclass(frozen=True)
class Composite(Rule):
    """A rule for each linear operation, by its kind and place; the first that is given counts.

    `first` is for those next to the image, however many there are, and `head` for those with no
    ReLU behind them. `positive` explains what speaks for the class alone: a negative logit starts
    from zero.

    Normalisation before the first linear operation passes relevance on unchanged: it is the same
    pixel in other units.
    """

    label: str
    dense: LayerRule
    conv: LayerRule
    first: LayerRule | None = None
    head: LayerRule | None = None
    positive: bool = False

    kinds: ClassVar[frozenset[str]] = KINDS

    @property
    def extra(self) -> float:
        """One where a rule for most of the network needs other sums than those of the way forth."""
        return float(isinstance(self.conv, Alpha1Beta0))

    def start(self, score: Tensor) -> Tensor:
        return score.clamp(min=0) if self.positive else score

    def check(self, graph: Graph) -> None:
        canonise(graph)
        require(graph, self.label)

    def propagate(self, op: Op, signal: Tensor) -> tuple[Tensor, ...]:
        if isinstance(op, Linear):
            return (self.rule_for(op)(op.merged or op, signal),)
        if op.kind == "relu" or op.absorbed or (op.first and is_elementwise(op)):
            return (signal,)
        if op.first and self.first is not None:
            return op.vjp(signal)  # `first` does not look at the input: a share could be R / 0
        return z_rule(op, signal)

    def rule_for(self, op: Linear) -> LayerRule:
        """The rule for a linear operation."""
        if op.first and self.first is not None:
            return self.first
        if not op.rectified and self.head is not None:
            return self.head
        return self.dense if op.kind == "linear" else self.conv


@dataclass(frozen=True)
class Relevance(Method):
    """Base of the LRP methods: the relevance of each pixel, as it arrives.

    Layers: convolutions and linear layers with fixed weights, BatchNorm with fixed statistics
    (merged with the layer before it where it normalises that layer's units, and else by the z-rule,
    as over tokens), ReLU, max- and average pooling, sums, means, concatenations, padding, dropout
    and reshaping, however they are called. Refused with their modules: other activations, softmax
    and attention, LayerNorm and GroupNorm, products of activations or with a mask made of the
    image, transposed convolutions.
    """

    @property
    def composite(self) -> Composite:
        """Which rule goes where."""
        raise NotImplementedError

    @property
    def passes(self) -> Backward:
        return Backward(self.composite)

    def reduce(self, images: Tensor, result: Tensor) -> Tensor:
        return result


@ATTRIBUTIONS.register("lrp_eps")
@dataclass(frozen=True)
class LRPEpsilon(Relevance):
    """LRP with the epsilon rule in every convolution and linear layer, the first one included.

        R_j = sum_k a_j w_jk / (z_k + epsilon sgn(z_k)) R_k, from R = logit

    The bias is in z_k and keeps its share, so a map sums to the logit where there are no biases. In
    a network of ReLUs and with a small epsilon the map is Input-Grad's.

    Args:
        epsilon: in units of a layer's output; 1e-7 as innvestigate's class. Its notebooks pass 1,
            which damps weak units.

    Checked: zennit on seven networks, trained SqueezeNet and ResNet-20 among them, and captum's LRP
    on the four that it passes (float64, 1e-6); the sum of a map without biases (float64, 1e-6).
    tests/attributions/test_references.py and tests/attributions/test_lrp.py

    Raises:
        ConfigError: for an epsilon of 0 or less.
        UnsupportedModelError: when it is called on a model with an operation that has no rule.

    Source: Bach et al. 2015, equation 58; Adebayo et al. 2020, Table "LRP-EPS".
    """

    epsilon: float = 1e-7

    label = "LRP-EPS"
    source = "Bach et al. 2015"

    def __post_init__(self) -> None:
        Epsilon(self.epsilon)

    @property
    def composite(self) -> Composite:
        rule = Epsilon(self.epsilon)
        return Composite(self.label, dense=rule, conv=rule)


@ATTRIBUTIONS.register("lrp_spaf")
@dataclass(frozen=True)
class LRPSequentialPresetAFlat(Relevance):
    """LRP by "sequential preset A flat": a rule for each kind of layer.

        linear layers: as LRP-EPS, and so the last layer, which gives the logit, of any kind
        convolutions:  R_j = sum_k (a+ w+ + a- w-)_jk / (sum_j' (a+ w+ + a- w-)_j'k + b_k) R_k
        first layer:   R_j = sum_k R_k / n_k, where unit k looks at n_k values

    The flat rule of the first layer spreads relevance evenly over each window, so that maps are
    smooth and equal in all channels. They are almost nowhere negative; only the epsilon rule can
    send negative relevance.

    Args:
        epsilon: of the linear layers; 0.1 as innvestigate's class, 1 in its notebooks.
        bias: what of it alpha1-beta0 counts, `whole` as innvestigate or `positive` as zennit. Where
            there are residual sums the whole bias gives unstable maps: on a trained ResNet-20 their
            sum was -6 to 16 times the logit, and with the positive part 0.3 to 0.6 times.

    Checked: zennit on LRP-EPS' seven networks, with the positive bias (float64, 1e-6); each rule
    written out on a layer's whole matrix (float64, 1e-9). tests/attributions/test_references.py and
    tests/attributions/test_lrp_rules.py

    Differs: zennit's rule for convolutions counts the positive part of the bias only; innvestigate
    takes that rule for a convolution that gives the logit, too, where there is no ReLU behind it.

    Raises:
        ConfigError: for an epsilon of 0 or less, or another `bias`.
        UnsupportedModelError: when it is called on a model with an operation that has no rule.

    Source: innvestigate, LRPSequentialPresetAFlat; Lapuschkin et al. 2019.
    """

    epsilon: float = 0.1
    bias: Bias = "whole"

    label = "LRP-SPAF"
    source = "Lapuschkin et al. 2019"

    def __post_init__(self) -> None:
        Epsilon(self.epsilon)
        Alpha1Beta0(self.bias)

    @property
    def composite(self) -> Composite:
        # Where a convolution gives a single logit, positive parts alone would explain the wrong
        # class: minus the logit counts for class 0.
        dense = Epsilon(self.epsilon)
        return Composite(
            self.label, dense=dense, conv=Alpha1Beta0(self.bias), first=Flat(), head=dense
        )


@ATTRIBUTIONS.register("deep_taylor")
@dataclass(frozen=True)
class DeepTaylor(Relevance):
    """Deep Taylor decomposition: what speaks for the class.

        a ReLU follows: LRP-SPAF's rule for convolutions
        else:           R_j = sum_k w_jk^2 / (sum_j' w_j'k^2) R_k
        first layer, bounded: R_j = sum_k (a w - l w+ - h w-)_jk / (sum_j' ...) R_k, l <= a <= h

    A negative logit gives a map of zeros. A map is not negative, but for two exceptions, so that it
    counts as signed: a residual sum hands the negative share of a branch to that branch, and an
    inactive unit with a negative bias can turn a sign.

    Args:
        variant: `bounded` uses the z^B rule in the first layer, `unbounded` the same as elsewhere.
        low, high: for `bounded`, the range of the values that the first layer sees, one number or
            one for each channel: (0 - mean) / std and (1 - mean) / std of the normalisation.
        bias: `whole` or `positive`, as in LRP-SPAF.

    Checked: zennit on LRP-EPS' seven networks, both variants, with the positive bias (float64,
    1e-6); each rule as LRP-SPAF's. tests/attributions/test_references.py and
    tests/attributions/test_lrp_rules.py

    Differs: from zennit, as LRP-SPAF.

    Raises:
        ConfigError: for another variant or `bias`, a missing or empty range, and when it is called
            with images outside of the range.
        UnsupportedModelError: when it is called on a model with an operation that has no rule.

    Source: Montavon et al. 2017; innvestigate, DeepTaylor and BoundedDeepTaylor.
    """

    variant: Literal["unbounded", "bounded"] = "unbounded"
    low: float | Sequence[float] | None = None
    high: float | Sequence[float] | None = None
    bias: Bias = "whole"

    label = "DeepTaylor"
    source = "Montavon et al. 2017"
    signed = True  # see the exceptions above

    def __post_init__(self) -> None:
        if self.variant not in ("unbounded", "bounded"):
            raise ConfigError(f"variant is unbounded or bounded, got {self.variant!r}.")
        Alpha1Beta0(self.bias)
        if self.variant == "bounded":
            low, high = _range(self.low), _range(self.high)
            object.__setattr__(self, "low", low)
            object.__setattr__(self, "high", high)
            if not all(a < b for a, b in _pairs(low, high)):
                raise ConfigError(f"low must be below high in every channel, got {low} and {high}.")

    @property
    def composite(self) -> Composite:
        bounded = self.variant == "bounded"
        return Composite(
            self.label,
            dense=Alpha1Beta0(self.bias),
            conv=Alpha1Beta0(self.bias),
            first=ZBox(_range(self.low), _range(self.high)) if bounded else None,
            head=WSquare(),
            positive=True,
        )


def _range(value: float | Sequence[float] | None) -> Range:
    if value is None:
        raise ConfigError(
            "the bounded DeepTaylor needs low and high, the range of the values that the first "
            "layer sees: (0 - mean) / std and (1 - mean) / std of the normalisation."
        )
    return float(value) if isinstance(value, int | float) else tuple(map(float, value))


def _pairs(low: Range, high: Range) -> list[tuple[float, float]]:
    lows, highs = (x if isinstance(x, tuple) else (x,) for x in (low, high))
    n = max(len(lows), len(highs))
    return list(zip(lows * (n // len(lows)), highs * (n // len(highs)), strict=True))
