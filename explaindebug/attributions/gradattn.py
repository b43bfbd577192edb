"""Attention weighted by its gradient, accumulated over blocks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from explaindebug.attributions._autograd.attention_passes import Attended, Reading
from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.attributions._support.token_method import TokenMethod


@dataclass(frozen=True)
class WeightedByGradient(Reading):
    """The sum over paths of attention that speaks for the class."""

    reach = 1.0

    def tokens(self, attended: Attended) -> Tensor:
        total = torch.eye(attended.layout.tokens).to(attended.weights[0])
        one = total
        for weights, gradient in zip(attended.weights, attended.gradients(), strict=True):
            total = total + (weights * gradient).relu().mean(1) @ total
        return (total - one)[:, attended.layout.read].mean(1)


@ATTRIBUTIONS.register("gradattn")
@dataclass(frozen=True)
class GradientAttention(TokenMethod):
    """How much of each patch reaches the tokens that are read, by attention that raises the logit.

        row of the tokens read of R_L - 1,  where R_l = R_(l-1) + E_h[max(0, A_l dF/dA_l)] R_(l-1)

    A_l are the attention weights of block l, E_h is the mean over heads, and R_0 = 1. The rows of
    tokens on which the logits depend count, on average.

    Specific to the class, as the gradient is. What the values, the MLPs and the patches' own
    embeddings add or take away enters through that gradient alone, and attention that lowers the
    logit not at all.

    Checked: the formula written out for a tiny transformer (float64, 1e-9), and other maps for
    other targets. tests/attributions/test_attention_maps.py

    Differs: 1 is subtracted from R_L. For a class token that changes nothing; where patches are
    averaged, it would add the same number to all.

    Source: Chefer, Gur, Wolf 2021, "Generic attention-model explainability".
    """

    label = "GradAttn"
    source = "Chefer et al. 2021"

    @property
    def reading(self) -> WeightedByGradient:
        return WeightedByGradient()
