"""Each rule against its formula, written out on the operation's full matrix in float64."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from explaindebug.attributions._autograd.lrp_rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    ZPlus,
    ratio,
    stabilised,
)
from explaindebug.attributions._autograd.ops import SIGNAL, Conv, Linear, Op
from explaindebug.attributions._autograd.signal_rules import z_rule
from explaindebug.core.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

CONVOLUTIONS = {
    "padded": {"padding": 1},
    "strided": {"padding": 2, "stride": 2},
    "dilated": {"padding": (2, 1), "dilation": (2, 1)},
    "grouped": {"padding": 1, "groups": 2},
    "same": {"padding": "same"},
}
OPERATIONS = ["linear", *CONVOLUTIONS]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).double()


def operation(name: str, a: Tensor) -> Linear:
    if name == "linear":
        call = (SIGNAL, drawn(3, a.shape[1]), drawn(3)), {}
        op: Linear = Linear("linear", F.linear, call)
    else:
        options = CONVOLUTIONS[name]
        kernel = 4 if name == "same" else 3  # padded more on one side than on the other
        weight = drawn(6, 4 // options.get("groups", 1), kernel, 3)
        op = Conv("conv", F.conv2d, ((SIGNAL, weight, drawn(6)), options))
    op.keep([a])
    return op


def an_input(name: str, signs: str) -> Tensor:
    a = drawn(2, 5) if name == "linear" else drawn(2, 4, 6, 5)
    return a.abs() if signs == "positive" else a


def matrix(op: Linear, weight: Tensor) -> Tensor:
    """The operation as (outputs, inputs)."""
    one = op.inputs[0][0]
    basis = torch.eye(one.numel(), dtype=one.dtype).reshape(-1, *one.shape)
    return op.apply(basis, weight).flatten(1).T


def shares(rule: object, op: Linear, a: Tensor, b: Tensor) -> Tensor:
    """Which part of each output's relevance goes to each input (n, outputs, inputs)."""
    w, a = matrix(op, op.weight), a[:, None]
    up, down = w.clamp(min=0), w.clamp(max=0)
    match rule:
        case Epsilon():
            z = (a * w).sum(2, keepdim=True) + b
            return a * w / (z + rule.epsilon * torch.where(z < 0, -1, 1))
        case ZPlus():
            parts = a.clamp(min=0) * up + a.clamp(max=0) * down
            b = b.clamp(min=0) if rule.bias == "positive" else b
            return parts / (parts.sum(2, keepdim=True) + b)
        case Gamma():
            z = (a * w).sum(2, keepdim=True) + b
            total = 0.0
            for half in (torch.Tensor.clamp_min, torch.Tensor.clamp_max):
                parts = a * w + rule.gamma * half(a * w, 0)
                down = parts.sum(2, keepdim=True) + b + rule.gamma * half(b, 0)
                same = z > 0 if half is torch.Tensor.clamp_min else z < 0
                total = total + same * parts / down
            return total
        case AlphaBeta():
            p, m = (a * w).clamp(min=0), (a * w).clamp(max=0)
            up = p / (p.sum(2, keepdim=True) + b.clamp(min=0))
            return rule.alpha * up - rule.beta * m / (m.sum(2, keepdim=True) + b.clamp(max=0))
        case Flat():
            reached = (matrix(op, torch.ones_like(op.weight)) != 0).double()
            return (reached / reached.sum(1, keepdim=True)).expand(len(a), -1, -1)
        case WSquare():
            return (w**2 / (w**2).sum(1, keepdim=True)).expand(len(a), -1, -1)
        case ZBox():
            parts = a * w - rule.low * up - rule.high * down
            return parts / parts.sum(2, keepdim=True)
    raise TypeError(rule)


@pytest.mark.parametrize("signs", ["positive", "mixed"])
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    "rule",
    [
        Epsilon(),
        Epsilon(0.5),
        Gamma(),
        Gamma(2),
        AlphaBeta(),
        AlphaBeta(1.5, 0.5),
        ZPlus("whole"),
        ZPlus("positive"),
        Flat(),
        WSquare(),
        ZBox(-6, 5),
    ],
    ids=lambda r: type(r).__name__,
)
def test_a_rule_is_its_formula(rule, name, signs):
    a = an_input(name, signs)
    op = operation(name, a)
    relevance = drawn(*op.output.shape)
    places = op.output[0].numel() // len(op.bias)
    b = op.bias.repeat_interleave(places)[:, None]
    expected = torch.einsum(
        "nk,nkj->nj", relevance.flatten(1), shares(rule, op, a.flatten(1), b)
    ).reshape(a.shape)
    torch.testing.assert_close(rule(op, relevance), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(op.inputs[0], an_input(name, signs))  # nothing is overwritten


@pytest.mark.parametrize("rule", [Flat(), WSquare(), ZBox(-6, (5, 6, 5, 6))])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_relevance_is_conserved_where_the_bias_has_no_share(rule, name):
    a = an_input(name, "mixed")
    op = operation(name, a)
    relevance = drawn(*op.output.shape)
    total = rule(op, relevance).flatten(1).sum(1)
    torch.testing.assert_close(total, relevance.flatten(1).sum(1))


def test_zbox_gives_no_negative_share():
    op = operation("padded", a := an_input("padded", "mixed"))
    assert (ZBox(float(a.min()), float(a.max()))(op, drawn(*op.output.shape).abs()) >= 0).all()


def test_zbox_takes_a_range_for_each_channel_also_of_a_flattened_image():
    a = drawn(2, 3 * 4)
    op = Linear("linear", F.linear, ((SIGNAL, drawn(5, 12)), {}))
    op.keep([a])
    low, high = (-5.0, -6.0, -7.0), (5.0, 6.0, 7.0)
    w = op.weight
    l, h = (torch.tensor(v).double().repeat_interleave(4) for v in (low, high))  # noqa: E741
    parts = a[:, None] * w - l * w.clamp(min=0) - h * w.clamp(max=0)
    relevance = drawn(2, 5)
    expected = torch.einsum("nk,nkj->nj", relevance, parts / parts.sum(2, keepdim=True))
    torch.testing.assert_close(ZBox(low, high)(op, relevance), expected)


@pytest.mark.parametrize(
    ("low", "high", "words"), [(-1, 1, "sees values from"), ((-9, -9, -9), 9, "4 channels")]
)
def test_zbox_says_what_is_wrong_with_a_range(low, high, words):
    op = operation("padded", an_input("padded", "mixed"))
    with pytest.raises(ConfigError, match=words):
        ZBox(low, high)(op, torch.ones_like(op.output))


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan")])
def test_epsilon_must_be_positive(epsilon):
    with pytest.raises(ConfigError, match="above 0"):
        Epsilon(epsilon)


def test_a_bias_is_whole_or_positive():
    with pytest.raises(ConfigError, match="'negative'"):
        ZPlus("negative")


@pytest.mark.parametrize(
    ("rule", "options", "words"),
    [
        (Gamma, {"gamma": -0.1}, "gamma must be a finite number at least 0"),
        (AlphaBeta, {"alpha": 2, "beta": 2}, "alpha - beta must be 1"),
        (AlphaBeta, {"alpha": 0.5, "beta": -0.5}, "beta must be"),
        (ZBox, {"low": 1, "high": 1}, "low must be below high"),
        (ZBox, {"low": [0, 0], "high": [1, -1]}, "low must be below high"),
        (ZBox, {"low": [0, 0], "high": [1, 1, 1]}, "2 values given as low, but 3 as high"),
        (ZBox, {"low": "0", "high": 1}, "low must be a finite number"),
    ],
)
def test_an_option_that_cannot_work_is_refused(rule, options, words):
    with pytest.raises(ConfigError, match=words):
        rule(**options)


def test_gamma_lies_between_the_z_rule_and_zplus():
    a = an_input("padded", "positive")
    op = operation("padded", a)
    relevance = drawn(*op.output.shape) * (op.output > 0)  # as it comes back through a ReLU
    found = [rule(op, relevance) for rule in (Gamma(0), Epsilon(1e-12), Gamma(1e9), ZPlus())]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[2], found[3])
    assert not torch.allclose(found[0], found[2])


def test_alpha_1_beta_0_is_zplus():
    op = operation("padded", an_input("padded", "mixed"))
    relevance = drawn(*op.output.shape)
    torch.testing.assert_close(AlphaBeta(1, 0)(op, relevance), ZPlus()(op, relevance))


@pytest.mark.parametrize("rule", [Gamma(0.25), Gamma(3), AlphaBeta(2, 1), ZPlus()])
@pytest.mark.parametrize("name", OPERATIONS)
def test_relevance_is_conserved_without_a_bias(rule, name):
    op = operation(name, an_input(name, "mixed"))
    op.bias = None
    op.output = op.run(*op.inputs)
    (a,), w = op.inputs, op.weight
    up = op.apply(a.clamp(min=0), w.clamp(min=0)) + op.apply(a.clamp(max=0), w.clamp(max=0))
    both = (up > 0) & (op.output < up)  # in a corner all parts can have the same sign
    assert both.double().mean() > 0.9
    relevance = drawn(*op.output.shape) * both
    total = rule(op, relevance).flatten(1).sum(1)
    torch.testing.assert_close(total, relevance.flatten(1).sum(1))


@pytest.mark.parametrize(
    "rule", [Epsilon(), Gamma(), AlphaBeta(), ZPlus("whole"), Flat(), WSquare()]
)
def test_dead_units_and_windows_of_padding_alone_pass_nothing_and_no_nan(rule):
    weight, bias = torch.zeros(2, 1, 1, 1), torch.zeros(2)
    op = Conv("conv", F.conv2d, ((SIGNAL, weight, bias), {"padding": 1}))
    op.keep([torch.zeros(1, 1, 3, 3)])
    relevance = torch.ones_like(op.output)
    total = 18.0 if isinstance(rule, Flat) else 0.0  # the border of 5x5 sees padding alone
    assert rule(op, relevance).sum() == total


def test_the_stabiliser_takes_zero_for_positive():
    z = torch.tensor([-2.0, 0.0, 2.0])
    assert stabilised(z, 0.5).tolist() == [-2.5, 0.5, 2.5]


def test_a_ratio_does_not_overflow():
    z = torch.tensor([0.0, 1e-42, -1e-42, 2.0, torch.nan])
    found = ratio(torch.tensor([3.0, 3.0, 3.0, 3.0, 3.0]), z)
    torch.testing.assert_close(found, torch.tensor([3.0, 3, 3, 1.5, torch.nan]), equal_nan=True)
    assert z[0] == 0  # a copy is divided by


def test_the_z_rule_shares_a_sum_by_its_parts():
    x, y = torch.tensor([[3.0, -1.0, 0.0]]), torch.tensor([[1.0, 3.0, 0.0]])
    op = Op("add", torch.add, ((SIGNAL, SIGNAL), {}))
    op.keep([x, y])
    to_x, to_y = z_rule(op, torch.tensor([[8.0, 8.0, 8.0]]))
    assert to_x.tolist() == [[6.0, -4.0, 0.0]]
    assert to_y.tolist() == [[2.0, 12.0, 0.0]]


def test_the_z_rule_shares_a_mean_by_its_parts():
    op = Op("mean", F.adaptive_avg_pool2d, ((SIGNAL, 1), {}))
    op.keep([torch.tensor([[[[1.0, 3.0], [0.0, 4.0]]]])])
    (shared,) = z_rule(op, torch.full((1, 1, 1, 1), 16.0))
    assert shared.flatten().tolist() == [2.0, 6.0, 0.0, 8.0]


def test_rules_are_equal_by_their_options():
    rules = [Epsilon(1e-7), Epsilon(0.1), Gamma(0.25), Gamma(1), AlphaBeta(), AlphaBeta(1, 0)]
    rules += [ZPlus(), ZPlus("whole"), Flat(), WSquare(), ZBox(0, 1), ZBox(0, 2)]
    assert all(a != b for a, b in itertools.combinations(rules, 2))
    assert len({*rules, Epsilon(0.1), ZBox(0, 1), ZBox([0.0], 1), Flat()}) - 1 == len(rules)
