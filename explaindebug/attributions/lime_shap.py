"""LIME and KernelSHAP: a linear surrogate of the model on superpixels that are on or off."""

from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method
from explaindebug.attributions._support.coalitions import RidgeDesign, Sampler, ShapleyDesign
from explaindebug.attributions._support.off import (
    Off,
    checked_off,
    of_references,
    require_colour,
)
from explaindebug.attributions._support.options import at_least, one_of
from explaindebug.attributions._support.perturbation import Perturbed, Weights
from explaindebug.attributions._support.superpixels import SEGMENTERS, Slic
from explaindebug.core.errors import ConfigError

SUPERPIXELS = Slic(adaptive=True)  # never yields a single superpixel, whatever the picture


@dataclass(frozen=True)
class Surrogate(Method):
    """Base of LIME and KernelSHAP: superpixels, the colour of those that are off, the output.

    A pixel has the weight of its superpixel (not divided by the superpixel's area), the same in all
    channels, in units of the explained output. With 50 superpixels, 500 samples leave an error of a
    tenth to a fifth of the map, and four times as many samples half of that.

    Args:
        samples: perturbed images, at most (KernelSHAP adds two); one forward pass each.
        segmenter: `slic`, `quickshift` or `grid`, one of them with its options, or a hashable
            function of a picture.
        off: what a superpixel that is switched off shows: `mean` (its own mean colour), `zeros`, a
            number or one for each channel, `training_mean` (that of the references), all in the
            model's input space, or `blur` (a Gaussian of a tenth of the shorter side). A picture
            that switching off doesn't change has a map of zeros: with `mean` one of a single
            colour. Superpixels of a single pixel each are refused with `mean`.
        output: what is explained, `logit` or `probability`.
        seed: of the perturbations, which depend only on it and on the number of superpixels.

    Layers: any model, as no gradient is needed.

    Raises:
        ConfigError: for an option out of range, or `training_mean` without references.
        AttributionError: for an image that is a single superpixel, or with `off=mean` one whose
            superpixels are single pixels, so that nothing is switched off.
    """

    samples: int = 500
    segmenter: Any = SUPERPIXELS
    off: Off = "mean"
    output: str = "logit"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "segmenter", SEGMENTERS.build(self.segmenter))
        object.__setattr__(self, "off", checked_off(self.off, self.label))
        at_least(2, "samples", self.samples, self.label)
        at_least(0, "seed", self.seed, self.label)
        one_of(("logit", "probability"), "output", self.output, self.label)
        if not callable(self.segmenter):
            raise SEGMENTERS.unknown(self.segmenter)

    def prepare(self, model: nn.Module, references: Tensor) -> Self:
        return replace(self, off=of_references(self.off, references))

    def _passes(self, sampler: Sampler) -> Perturbed:
        require_colour(self.off, self.label)
        return Perturbed(sampler, self.segmenter, self.off, self.output)

    def reduce(self, images: Tensor, result: Weights) -> Tensor:
        n, c, h, w = images.shape
        pixels = result.values.gather(1, result.labels.cpu().flatten(1)).view(n, 1, h, w)
        return pixels.to(images).repeat(1, c, 1, 1)


@ATTRIBUTIONS.register("lime")
@dataclass(frozen=True)
class Lime(Surrogate):
    """Ridge regression on superpixels switched by coin flips, weighted by closeness to the image.

        the w of min over w, b of sum_z pi(z) (F(x_z) - b - z w)^2 + alpha |w|^2,
        where pi(z) = sqrt(exp(-d^2 / kernel_width^2)), d = 1 - sqrt(|z| / m)

    Here z indicates which of the m superpixels are on, x_z is the resulting image, and d the cosine
    distance of z to all-on. No superpixels are selected; all keep their weights.

    Args, in addition to those of all surrogates:
        kernel_width: in units of d; the smaller, the more images with few superpixels off count.
        alpha: strength of the penalty on the weights.

    Checked: the lime package on Grad's eight networks, on equal perturbations (float32, 1e-4); the
    fit against scikit-learn's Ridge and captum's LimeBase (1e-9, 1e-4).
    tests/attributions/test_references.py, tests/attributions/test_lime_shap.py and
    tests/attributions/test_coalitions.py

    Differs: from the lime package: superpixels are SLICO's instead of quickshift's, the logit is
    explained instead of the probability, and images with equally many superpixels share their coin
    flips.

    Source: Ribeiro et al.: "Why should I trust you?", KDD 2016, as the authors' `lime_image`.
    """

    kernel_width: float = 0.25
    alpha: float = 1.0

    label = "LIME"
    source = "Ribeiro, Singh, Guestrin 2016, section 3"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.kernel_width > 0 and self.alpha >= 0):
            raise ConfigError(
                f"{self.label}: kernel_width={self.kernel_width} must be positive and "
                f"alpha={self.alpha} not negative."
            )

    @property
    def passes(self) -> Perturbed:
        return self._passes(RidgeDesign(self.samples, self.kernel_width, self.alpha, self.seed))


@ATTRIBUTIONS.register("kernelshap")
@dataclass(frozen=True)
class KernelShap(Surrogate):
    """Shapley values of the superpixels, which sum to F(x) - F(off).

        the w of min over w of sum_z k(z) (F(x_z) - F(off) - z w)^2, where sum w = F(x) - F(off)
        and k(z) = (m - 1) / (C(m, |z|) |z| (m - |z|))

    Here z indicates which of the m superpixels are on, and x_z is the resulting image. The sum is
    exact up to the model's rounding; the values are exact if all 2^m - 2 coalitions fit into
    `samples`.

    Checked: the definition of Shapley values on up to eight superpixels (1e-6); shap's
    KernelExplainer on Grad's eight networks (float32, 1e-4); captum's KernelShap with its own 2000
    draws (cosine 0.999). tests/attributions/test_references.py and
    tests/attributions/test_lime_shap.py

    Differs: captum enforces the sum by a large weight, here it is a constraint; shap may drop
    superpixels (`l1_reg`), here all keep their values; each coalition comes with its complement.

    Source: Lundberg, Lee: A unified approach to interpreting model predictions, NeurIPS 2017.
    """

    label = "Kernel SHAP"
    source = "Lundberg, Lee 2017, theorem 2"

    @property
    def passes(self) -> Perturbed:
        return self._passes(ShapleyDesign(self.samples, self.seed))
