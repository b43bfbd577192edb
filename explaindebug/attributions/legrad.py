"""LeGrad: the gradient of the score that each block yields, with respect to its attention."""

from dataclasses import dataclass

import torch
from torch import Tensor

from explaindebug.attributions._autograd.attention_passes import Attended, Reading
from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.attributions._support.token_method import TokenMethod


@dataclass(frozen=True)
class GradientWithin(Reading):
    """The positive gradient of each block's own score, on average over blocks."""

    within = True
    reach = 0.75  # from the tokens after a block to its attention, for an MLP of four widths

    def tokens(self, attended: Attended) -> Tensor:
        positive = [g.relu().mean((1, 2)) for g in attended.gradients_within()]
        return torch.stack(positive).mean(0)


@ATTRIBUTIONS.register("legrad")
@dataclass(frozen=True)
class LeGrad(TokenMethod):
    """How much more attention to each patch would raise a block's score, on average over blocks.

        E_l E_h E_i max(0, dF_l / dA_l[h, i, j])

    F_l is the logit that block l yields: the mean over all tokens after the block takes the way of
    the token that is read, through norm and head. A_l[h, i, j] are that block's attention weights
    from token i to token j in head h, and E is the mean.

    Specific to the class. It is the gradient alone, not weighted by attention: a patch counts that
    the network hardly looks at, if looking at it would help. All blocks count the same, early ones
    too, whose tokens the head was not trained on; and none explains the network's own logit, which
    reads one token or the mean of normalised ones.

    Checked: the definition, block by block, for a tiny transformer with its head applied by hand
    (float64, 1e-9); torchcam's LeGrad on torchvision's ViT (float64, 1e-9).
    tests/attributions/test_attention_maps.py

    Differs: all blocks, where the authors' code takes the last two; maps are not scaled
    to [0, 1], which is left to the post-processing.

    Source: Bousselham et al. 2024, "LeGrad", and the authors' code.
    """

    label = "LeGrad"
    source = "Bousselham et al. 2024"

    @property
    def reading(self) -> GradientWithin:
        return GradientWithin()
