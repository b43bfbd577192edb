"""Grad-CAM and its kin: a network's last feature map, weighted by the gradient of the logit."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions._autograd.backward import Backward, Features, Rule
from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method
from explaindebug.attributions._support.options import one_of
from explaindebug.core.errors import ConfigError
from explaindebug.core.isolation import frozen

Variant = Literal["gradcam", "hirescam", "layercam"]
LABELS = {"gradcam": "Grad-CAM", "hirescam": "HiResCAM", "layercam": "LayerCAM"}


@dataclass(frozen=True)
class FeatureGradient(Rule):
    """The plain chain rule, back to a feature map."""

    layer: str

    @property
    def reach(self) -> float:
        return 1.0 if self.layer else 0.0  # a layer that is named may lie next to the images


@ATTRIBUTIONS.register("gradcam")
@dataclass(frozen=True)
class GradCam(Method):
    """The network's last feature map, its channels weighted by the gradient. Shares Grad's forward.

        max(0, sum_k w_k A_k), where w_k is
        the mean of dF/dA_k over all positions for `gradcam`,
        dF/dA_k at each position for `hirescam`, and max(0, dF/dA_k) for `layercam`

    A_k is channel k of the last activation with an extent in height and width before the pooling,
    flattening or taking of a token that leads to the logits. What only pools, reshapes or drops out
    an activation is passed over: VGG's is the ReLU before its last max-pooling. It is found by the
    calls of one forward pass, not from a list of networks; console and report say which it is, and
    so does `GradCam().taken(model, images, targets)`. Where the logits read a class token, it is
    the normalised tokens that the last attention takes, as later ones of other tokens lead nowhere.
    The map is enlarged bilinearly to the image's size and is the same in all channels: for a
    feature map of 7 x 7 it has 49 independent values.

    Averaging the gradient, `gradcam` can show places that the logit does not depend on; `hirescam`
    can't if only pooling and a linear layer follow. There both are the same map, that of CAM.

    Args:
        variant: `gradcam`, `hirescam` or `layercam`, which share their pass.
        layer: name of the module whose output is taken instead, (n, c, h, w), (n, h, w, c) or
            (n, tokens, c); of several calls the last. Where (n, h, w, c) is meant is told by the
            image's proportions.
        relu: whether negative values become 0, as in the paper; without it maps are signed.

    Layers: everything that torch can differentiate, if a feature map leads to the logits. Refused:
        networks of dense layers only, heads that attend to the feature map (name a layer), and
        tokens of which no convolution has made a grid.

    Checked: captum's LayerGradCam on Grad's networks but the ViT (float64, 1e-6); CAM's formula,
    HiResCAM's sum to the logit and LayerCAM's definition in closed form (float64, 1e-9); the layer
    that is found in torchvision's and timm's networks, against the one named by hand.
    tests/attributions/test_references.py and tests/attributions/test_gradcam.py

    Differs: the paper leaves the layer to the reader, and takes VGG's last ReLU as here; other
    libraries often take what its max-pooling leaves, at half the resolution. Score-CAM is left
    out: it needs a forward pass for each channel, 128 on BVD-CNN and 512 on ResNet-18.

    Source: Selvaraju et al. 2017, section 3; Draelos, Carin 2020 (HiResCAM); Jiang et al. 2021
    (LayerCAM).
    """

    variant: Variant = "gradcam"
    layer: str = ""
    relu: bool = True

    label = "Grad-CAM"
    source = "Selvaraju et al. 2017, section 3"
    signed = False

    def __post_init__(self) -> None:
        one_of(LABELS, "variant", self.variant, self.label)
        object.__setattr__(self, "label", LABELS[self.variant])
        if not isinstance(self.layer, str):
            raise ConfigError(f"{self.label}: layer must be a module's name, got {self.layer!r}.")
        if not isinstance(self.relu, bool):
            raise ConfigError(f"{self.label}: relu must be true or false, got {self.relu!r}.")

    @property
    def passes(self) -> Backward:
        return Backward(FeatureGradient(self.layer))

    def remark(self, model: nn.Module, images: Tensor, targets: Tensor) -> str:
        return self.taken(model, images, targets)

    def taken(self, model: nn.Module, images: Tensor, targets: Tensor) -> str:
        """Whose output is weighed, with its height and width: `ReLU in layer4.1.relu, 7 x 7`.

        The model must be in eval mode.

        Raises:
            UnsupportedModelError: if no feature map is found.
        """
        with torch.enable_grad(), frozen(model):
            return self.passes.taken(model, images, targets)

    def reduce(self, images: Tensor, result: Features) -> Tensor:
        values, gradient = result
        if self.variant == "gradcam":
            gradient = gradient.mean((2, 3), keepdim=True)
        elif self.variant == "layercam":
            gradient = gradient.relu()
        total = (gradient * values).sum(1, keepdim=True)
        total = total.relu() if self.relu else total
        enlarged = F.interpolate(total, images.shape[2:], mode="bilinear", align_corners=False)
        return enlarged.expand_as(images)
