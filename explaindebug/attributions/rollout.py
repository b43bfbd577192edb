"""Attention rollout: where the attention of all blocks, one after the other, comes from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from explaindebug.attributions._autograd.attention_passes import Attended, Reading
from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.attributions._support.token_method import TokenMethod


@dataclass(frozen=True)
class Product(Reading):
    """The product over blocks of the mean over heads and the identity."""

    def tokens(self, attended: Attended) -> Tensor:
        blocks = attended.weights
        total = one = torch.eye(attended.layout.tokens).to(blocks[0])
        for weights in blocks:
            total = (weights.mean(1) + one) / 2 @ total
        return total[:, attended.layout.read].mean(1)


@ATTRIBUTIONS.register("rollout")
@dataclass(frozen=True)
class Rollout(TokenMethod):
    """How much of each patch reaches the tokens that are read, if attention were all there is.

        row of the tokens read of  R_L ... R_2 R_1,  where R_l = (A_l + 1) / 2

    A_l are the attention weights of block l, on average over heads, and 1 stands for the residual
    connection. The rows of tokens on which the logits depend count, on average: the class token's,
    or all patches' where these are averaged.

    It says what the network looks at, not what speaks for a class: neither the target nor any
    weight behind the last attention enters. Its map is the same for all classes and stays the same
    if the head is re-initialised, by construction. Use it as a negative control in tests that ask
    for one or the other.

    Checked: the product written out for a tiny transformer (float64, 1e-9), and equal maps for two
    targets. tests/attributions/test_attention_maps.py

    Differs: where patches are averaged, their rows are; the paper has a class token.

    Source: Abnar, Zuidema 2020, "Quantifying attention flow in transformers".
    """

    label = "Rollout"
    source = "Abnar, Zuidema 2020"

    @property
    def reading(self) -> Product:
        return Product()
