"""Relevance through one operation that combines, normalises or bends signals: closed forms."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from explaindebug.attributions._autograd.canonizer import SIGNED
from explaindebug.attributions._autograd.gates import mark_constants
from explaindebug.attributions._autograd.graph import Graph
from explaindebug.attributions._autograd.ops import Op
from explaindebug.attributions._autograd.signal_rules import SIGNAL_RULES
from explaindebug.attributions._autograd.tape import Tape


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def taped(function: Callable[..., Tensor], *inputs: Tensor) -> Op:
    """The last operation of a function, as a tape records it."""
    signals = [x.clone().requires_grad_() for x in inputs]
    with Tape(SIGNED):
        end = function(*signals)
    graph = Graph(end, torch.nn.Identity(), lambda: end)
    mark_constants(graph)
    return graph.ops[-1]


def relevances(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Op, Tensor, Any]:
    op = taped(function, *inputs)
    relevance = drawn(*op.output.shape, seed=9)
    return op, relevance, SIGNAL_RULES[op.kind](op, relevance, op.fixed)


def same(found: Tensor | None, expected: Tensor) -> None:
    assert found is not None
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


ZERO_AT_ZERO: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "silu in place": lambda x: F.silu(x + 0, inplace=True),
    "hardswish": F.hardswish,
    "mish": F.mish,
    "tanh": torch.tanh,
    "leaky relu": F.leaky_relu,
    "relu6": F.relu6,
    "clamp": lambda x: x.clamp(0, 6),
}


@pytest.mark.parametrize("activation", ZERO_AT_ZERO.values(), ids=ZERO_AT_ZERO)
def test_an_activation_that_is_0_at_0_passes_relevance_on(activation: Any) -> None:
    op, relevance, (found,) = relevances(activation, drawn(4, 5))
    assert op.kind == "activation"
    assert torch.equal(found, relevance)


@pytest.mark.parametrize("gate", [torch.sigmoid, F.hardsigmoid, F.softplus])
def test_what_an_activation_is_at_0_keeps_its_share(gate: Any) -> None:
    x = drawn(4, 5)
    _, relevance, (found,) = relevances(gate, x)
    same(found, relevance * (gate(x) - gate(x * 0)) / gate(x))
    same((relevance - found).sum(), (relevance * gate(x * 0) / gate(x)).sum())


SELF_GATED: dict[str, Callable[[Tensor], Tensor]] = {
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": lambda x: torch.sigmoid(x) * x,
    "hardswish": lambda x: x * F.relu6(x + 3),
    "mish": lambda x: x * F.softplus(x).tanh(),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
}


@pytest.mark.parametrize("activation", SELF_GATED.values(), ids=SELF_GATED)
def test_a_signal_that_gates_itself_is_an_activation(activation: Any) -> None:
    op, relevance, found = relevances(lambda x: activation(x + 0), drawn(4, 5))
    assert op.kind == "product"
    signal, gate = found if found[1] is None else reversed(found)
    assert gate is None
    same(signal, relevance)


def test_a_gate_made_of_another_signal_is_a_factor() -> None:
    x, y = drawn(4, 5), drawn(4, 5, seed=1)
    op, relevance, found = relevances(lambda x, y: x * F.silu(y), x, y)
    assert not op.fixed
    same(found[0], relevance / 2)
    same(found[1], relevance / 2)


def shares(matrix: Tensor, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    """R_j = sum_i x_j m_ij / z_i R_i for each row."""
    return x * ((relevance / z) @ matrix)


def test_layer_norm_is_linear_with_its_scale_fixed() -> None:
    x, w, b = drawn(4, 6), drawn(6, seed=1), drawn(6, seed=2)
    op, relevance, (found,) = relevances(lambda x: F.layer_norm(x, (6,), w, b, 1e-3), x)
    scale = (x.var(1, correction=0) + 1e-3).sqrt()
    expected = torch.stack(
        [
            shares(w[:, None] * (torch.eye(6).double() - 1 / 6) / s, *parts)
            for s, *parts in zip(scale, x, op.output, relevance, strict=True)
        ]
    )
    same(found, expected)
    same(relevance.sum() - found.sum(), (b * relevance / op.output).sum())


def test_layer_norm_over_several_dimensions() -> None:
    x, w = drawn(3, 4, 5), drawn(4, 5, seed=1)
    one = relevances(lambda x: F.layer_norm(x, (4, 5), w), x)[2][0]
    flat = relevances(lambda x: F.layer_norm(x.flatten(1), (20,), w.flatten()), x)[2][0]
    same(one, flat.view_as(one))


def test_group_norm_is_the_layer_norm_of_each_group() -> None:
    x, w, b = drawn(3, 4, 2, 2), drawn(4, seed=1), drawn(4, seed=2)
    op, relevance, (found,) = relevances(lambda x: F.group_norm(x, 2, w, b), x)
    matrix = torch.eye(8).double() - 1 / 8
    for i in range(3):
        for group in (slice(0, 2), slice(2, 4)):
            part = x[i, group].flatten()
            scale = (part.var(correction=0) + 1e-5).sqrt()
            weight = w[group].repeat_interleave(4)[:, None]
            ends = op.output[i, group].flatten(), relevance[i, group].flatten()
            same(found[i, group].flatten(), shares(weight * matrix / scale, part, *ends))
    same(relevance.sum() - found.sum(), (b[:, None, None] * relevance / op.output).sum())


WITHOUT_MEAN: dict[str, Callable[[Tensor], Tensor]] = {
    "rms": lambda x: F.rms_norm(x, (6,), torch.ones(6).double() * 3, 1e-3),
    "unit length": lambda x: F.normalize(x, dim=1),
    "written as a quotient": lambda x: x / x.norm(dim=1, keepdim=True),
    "written as a product": lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-3),
}


@pytest.mark.parametrize("norm", WITHOUT_MEAN.values(), ids=WITHOUT_MEAN)
def test_a_norm_without_mean_and_shift_passes_relevance_on(norm: Any) -> None:
    _, relevance, found = relevances(norm, drawn(4, 6))
    same(found[0], relevance)
    assert found[1:] in ((), (None,))


@pytest.mark.parametrize("dim", [-1, 1])
def test_softmax(dim: int) -> None:
    x = drawn(3, 4, 4)
    x[0, 0, 0] = -torch.inf
    op, relevance, (found,) = relevances(lambda x: (x + 0).softmax(dim), x)
    rows, s, r = (y.movedim(dim, -1) for y in (x, op.output, relevance))
    same(found.movedim(dim, -1), rows.nan_to_num(neginf=0) * (r - s * r.sum(-1, keepdim=True)))
    assert found[0, 0, 0] == 0


PRODUCTS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "@": (lambda x, y: x @ y, "nij,njk->nijk"),
    "matmul": (torch.matmul, "nij,njk->nijk"),
    "bmm": (torch.bmm, "nij,njk->nijk"),
    "einsum": (lambda x, y: torch.einsum("nij,njk->nik", x, y), "nij,njk->nijk"),
}


@pytest.mark.parametrize(("product", "terms"), PRODUCTS.values(), ids=PRODUCTS)
def test_a_product_gives_half_to_each_factor(product: Any, terms: str) -> None:
    x, y = drawn(2, 3, 4), drawn(2, 4, 5, seed=1)
    op, relevance, found = relevances(product, x, y)
    part = torch.einsum(terms, x, y) * (relevance / op.output)[:, :, None] / 2
    same(found[0], part.sum(3))
    same(found[1], part.sum(1))
    same(found[0].sum() + found[1].sum(), relevance.sum())


def test_a_product_of_three_gives_a_third_to_each() -> None:
    x, y, z = drawn(3, 4), drawn(4, 5, seed=1), drawn(5, 2, seed=2)
    _, relevance, found = relevances(lambda *a: torch.einsum("ij,jk,kl->il", *a), x, y, z)
    for part in found:
        same(part.sum(), relevance.sum() / 3)


def test_an_elementwise_product_spreads_over_what_was_broadcast() -> None:
    x, gate = drawn(2, 3, 4, 4), drawn(2, 3, 1, 1, seed=1)
    _, relevance, found = relevances(torch.mul, x, gate)
    same(found[0], relevance / 2)
    same(found[1], relevance.sum((2, 3), keepdim=True) / 2)


def test_a_product_with_a_constant_is_a_linear_operation() -> None:
    x, w = drawn(2, 3, 4), drawn(4, 5, seed=1)
    op, relevance, (found,) = relevances(lambda x: x @ w, x)
    same(found, x * ((relevance / op.output) @ w.T))
    same(found.sum(), relevance.sum())


def test_a_constant_that_is_added_or_joined_keeps_its_share() -> None:
    x, c = drawn(2, 3), drawn(2, 3, seed=1)
    op, relevance, (found,) = relevances(lambda x: x + c, x)
    same(found, x * relevance / op.output)
    same(relevance.sum() - found.sum(), (c * relevance / op.output).sum())
    _, relevance, (found,) = relevances(lambda x: torch.cat([c, x]), x)
    same(found, relevance[2:])


def test_the_weights_of_attention_are_known_as_gates() -> None:
    def attention(q: Tensor, v: Tensor) -> Tensor:
        weights = F.softmax(q @ q.mT, -1, dtype=torch.float64).to(torch.float64)
        return weights.view_as(weights).transpose(1, 2).transpose(1, 2) @ v

    assert taped(attention, drawn(2, 3, 4), drawn(2, 3, 4)).gates == {0}
    squeeze = taped(lambda x, y: x * torch.sigmoid(y)[:, :, None], drawn(2, 3, 4), drawn(2, 3))
    assert squeeze.gates == {1}
    assert not taped(lambda x, y: x * F.silu(y), drawn(2, 3), drawn(2, 3)).gates
