"""What methods have in common whose maps are made of a transformer's attention."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions._autograd.attention_passes import Attention, Reading
from explaindebug.attributions._engine.method import Method
from explaindebug.core.isolation import frozen


@dataclass(frozen=True)
class TokenMethod(Method):
    """A map of one number per token: blocks of pixels, the same in all channels.

    Layers: transformers whose attention is between all tokens of an image, in whatever way it is
    computed: torchvision's and timm's ViT, DeiT with a distillation token, registers,
    nn.TransformerEncoder, Hugging Face's layout. The last tokens are those of the image, in a
    square grid, and other tokens come first. Refused: networks without attention, with windows
    (Swin), with pooled tokens (PVT) or a head that attends, and grids that aren't square.
    """

    for_transformers = True
    signed = False

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """How the map is read from attention."""

    @property
    def passes(self) -> Attention:
        return Attention(self.reading)

    def remark(self, model: nn.Module, images: Tensor, targets: Tensor) -> str:
        with torch.enable_grad(), frozen(model):
            return self.passes.taken(model, images)

    def reduce(self, images: Tensor, result: Tensor) -> Tensor:
        # Not smoothed: the map has as many independent values as there are tokens.
        enlarged = F.interpolate(result[:, None], images.shape[2:], mode="nearest-exact")
        return enlarged.expand_as(images)
