"""How relevance goes through operations that combine, normalise or bend signals.

A rule is a function: (operation, relevance R of its output, inputs that count as constants) ->
relevance of each input, None for constants. Below, x is an input and z the output. What a rule
doesn't hand on stays with constants: added ones, an activation's value at 0, a norm's shift.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from explaindebug.attributions._autograd.lrp_rules import ratio
from explaindebug.attributions._autograd.norms import Norm
from explaindebug.attributions._autograd.ops import Op

Relevances = tuple[Tensor | None, ...]
SignalRule = Callable[[Op, Tensor, Collection[int]], Relevances]


def z_rule(op: Op, relevance: Tensor, fixed: Collection[int] = ()) -> Relevances:
    """R_i = x_i dz/dx_i R / z for each input x_i of a sum, a mean or a scaling; 0 where z is 0.

    Source: Bach et al. 2015, equation 56.
    """
    return _spread(op, ratio(relevance, op.output), fixed)


def product_rule(op: Op, relevance: Tensor, fixed: Collection[int] = ()) -> Relevances:
    """The z-rule for each of n factors with the others fixed, which gets R / n.

    Source: Achtibat et al. 2024, proposition 3.3.
    """
    share = ratio(relevance, op.output)
    return _spread(op, share.div_(max(1, len(op.inputs) - len(fixed))), fixed)


def activation_rule(op: Op, relevance: Tensor, fixed: Collection[int] = ()) -> Relevances:
    """R (f(x) - f(0)) / f(x): unchanged for GELU, SiLU and all that are 0 at 0.

    A sigmoid's value at 0 is a constant and keeps its share, as a bias does. The relevance of an
    input near 0 would else be divided by it in the layer before.

    Source: Achtibat et al. 2024, equation 9.
    """
    at_zero = op.run(op.inputs[0].new_zeros(1))
    if not at_zero.any():
        return (relevance,)
    return (relevance - ratio(relevance, op.output).mul_(at_zero),)


def norm_rule(op: Op, relevance: Tensor, fixed: Collection[int] = ()) -> Relevances:
    """R_i = x_i dz/dx_i R / z, where the scale counts as a constant: what is left is linear.

    Source: Achtibat et al. 2024, proposition 3.4; Ali et al. 2022.
    """
    assert isinstance(op, Norm)
    return (op.fixed_scale(ratio(relevance, op.output)).mul_(op.inputs[0]),)


def softmax_rule(op: Op, relevance: Tensor, fixed: Collection[int] = ()) -> Relevances:
    """R_i = x_i (R_i - s_i sum_j R_j), for s = softmax(x); what is masked by -inf gets nothing.

    Source: Achtibat et al. 2024, proposition 3.1.
    """
    x, dim = op.inputs[0], op.call[1].get("dim", (*op.call[0], None)[1])
    rest = torch.addcmul(relevance, op.output, relevance.sum(dim, keepdim=True), value=-1)
    return (rest.mul_(x.masked_fill(x == -torch.inf, 0)),)


def gradient_rule(op: Op, relevance: Tensor, fixed: Collection[int] = ()) -> Relevances:
    """The true gradient, where an operation only moves values."""
    return op.vjp(relevance)


SIGNAL_RULES: dict[str, SignalRule] = {
    "add": z_rule,
    "scale": z_rule,
    "mean": z_rule,
    "batch_norm": z_rule,
    "product": product_rule,
    "activation": activation_rule,
    "norm": norm_rule,
    "softmax": softmax_rule,
    "join": gradient_rule,
}


def _spread(op: Op, share: Tensor, fixed: Collection[int]) -> Relevances:
    """x_i dz/dx_i times the share, for each input that is no constant."""
    live = [i for i in range(len(op.inputs)) if i not in fixed]
    gradients = op.gradients(share, live) if live else ()
    found: list[Tensor | None] = [None] * len(op.inputs)
    for i, gradient in zip(live, gradients, strict=True):
        found[i] = op.inputs[i] * gradient
    return tuple(found)
