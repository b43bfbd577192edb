"""Gradients along straight paths to the image: integrated and expected gradients."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions._support.options import at_least, one_of
from explaindebug.attributions.gradient import gradient
from explaindebug.core.errors import ConfigError
from explaindebug.core.rng import generator

Floats = npt.NDArray[np.float64]
Quadrature = Literal["gauss_legendre", "midpoint", "trapezoid", "right", "inclusive"]


class Point(NamedTuple):
    """The point baseline + alpha * (image - baseline), and its weight in the integral."""

    baseline: Tensor | float  # (c, h, w), in the model's input space
    alpha: float
    weight: float

    def difference(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w) minus the baseline."""
        return images - _fitting(self.baseline, images)


@dataclass(frozen=True)
class PathGradients(Passes):
    """The sum (n, c, h, w) over all points of weight * (x - baseline) * dF/dx at the point."""

    points: tuple[Point, ...]

    @property
    def calls(self) -> tuple[float, float]:
        return len(self.points), len(self.points)

    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Tensor:
        total, together = torch.zeros_like(images), max(1, batch // len(images))
        for first in range(0, len(self.points), together):
            points = self.points[first : first + together]
            inputs = torch.cat([images - (1 - p.alpha) * p.difference(images) for p in points])
            gradients = gradient(model, inputs, targets.repeat(len(points)))
            for point, g in zip(points, torch.split(gradients, len(images)), strict=True):
                total += point.weight * point.difference(images) * g
        return total


@ATTRIBUTIONS.register("intgrad")
@dataclass(frozen=True)
class IntegratedGradients(Method):
    """The mean gradient along the path from a baseline to the image, times their difference.

        (x - b) * integral over alpha from 0 to 1 of dF/dx at b + alpha (x - b)

    It takes `steps` passes. The map sums to F(x) - F(b), up to the error of the integration.

    Args:
        steps: points on the path.
        rule: their positions. `gauss_legendre` is the most accurate: on SqueezeNet its map is 2 to
            4 % away from that of 300 steps with 20 steps, 1 to 2 % with 50; `midpoint` and `right`
            are 3 to 6 % away with 20. `trapezoid` and `inclusive` (a plain mean over evenly spaced
            points, as in the code of Adebayo et al. 2018) include the baseline and the image.
        baseline: `zeros`, a number, or a tensor (c, h, w), in the model's input space, where zero
            is the mean colour if images are normalised.

    Layers: everything that torch can differentiate.

    Checked: captum's IntegratedGradients by four rules (float64, 1e-7), and by the default one on
    Grad's eight networks (float64, 1e-6); completeness on a smooth network (float64, 1e-9).
    tests/attributions/test_path_gradients.py and tests/attributions/test_references.py

    Differs: twenty points of a more accurate rule instead of fifty or more evenly spaced ones;
    weights of `trapezoid` sum to 1, captum's to (steps - 1) / steps.

    Source: Sundararajan, Taly, Yan 2017, section 3.
    """

    steps: int = 20
    rule: Quadrature = "gauss_legendre"
    baseline: Tensor | float | Literal["zeros"] = "zeros"

    label = "IntGrad"
    source = "Sundararajan et al. 2017"

    def __post_init__(self) -> None:
        one_of(get_args(Quadrature), "rule", self.rule, self.label)
        ends = self.rule in ("trapezoid", "inclusive")
        at_least(2 if ends else 1, "steps", self.steps, self.label)
        unknown_word = isinstance(self.baseline, str) and self.baseline != "zeros"
        if unknown_word or self.baseline is None:
            raise ConfigError(
                f"{self.label}: baseline must be 'zeros', a number or a tensor (c, h, w), got "
                f"{self.baseline!r}."
            )

    @property
    def passes(self) -> PathGradients:
        baseline = 0.0 if isinstance(self.baseline, str) else self.baseline
        alphas, weights = quadrature(self.rule, self.steps)
        pairs = zip(alphas.tolist(), weights.tolist(), strict=True)
        return PathGradients(tuple(Point(baseline, *pair) for pair in pairs))

    def reduce(self, images: Tensor, result: Tensor) -> Tensor:
        return result


@ATTRIBUTIONS.register("egrad")
@dataclass(frozen=True)
class ExpectedGradients(Method):
    """Integrated gradients from many baselines, each at one random point. `samples` passes.

        mean over b and alpha of (x - b) * dF/dx at b + alpha (x - b)

    Baselines are drawn from the references without replacement, starting over when all are used;
    one alpha is drawn uniformly from each of `samples` equal parts of [0, 1]. In expectation the
    map sums to F(x) minus the mean of F(b). It converges slowly: an error of a tenth of the map
    takes hundreds of samples.

    Args:
        samples: pairs of a baseline and an alpha, the same for every image.
        seed: of the draws.

    Layers: everything that torch can differentiate.

    Checked: captum's GradientShap (float64, 1e-6) and shap's GradientExplainer (float32, 1e-4) on
    Grad's eight networks, on equal draws; the closed form on a linear model (float64, 1e-7);
    completeness (1 %). tests/attributions/test_references.py and test_path_gradients.py there

    Differs: shap draws baselines with replacement, alphas from all of [0, 1], and new ones for each
    image. Ours have the same mean and less noise, and a map depends only on its own image.

    Source: Erion et al. 2021, section 2; shap's GradientExplainer.
    """

    samples: int = 50
    seed: int = 0
    references: Tensor | None = field(default=None, repr=False)  # (m, c, h, w), from `prepare`

    label = "EGrad"
    source = "Erion et al. 2021"
    needs_references = True

    def __post_init__(self) -> None:
        at_least(1, "samples", self.samples, self.label)

    def prepare(self, model: nn.Module, references: Tensor) -> Self:
        return replace(self, references=references)

    @property
    def passes(self) -> PathGradients:
        if self.references is None or not len(self.references):
            raise ConfigError(
                f"{self.label} needs images of the training distribution as baselines. Pass "
                "attribute(..., references=images), a hundred or more."
            )
        draws, m = generator(self.seed), len(self.references)
        rounds = math.ceil(self.samples / m)
        order = torch.cat([torch.randperm(m, generator=draws) for _ in range(rounds)])
        rows = order[: self.samples].tolist()
        inside = torch.rand(self.samples, generator=draws, dtype=torch.float64)
        alphas = ((torch.arange(self.samples) + inside) / self.samples).tolist()
        pairs = zip(rows, alphas, strict=True)
        return PathGradients(
            tuple(Point(self.references[row], alpha, 1 / self.samples) for row, alpha in pairs)
        )

    def reduce(self, images: Tensor, result: Tensor) -> Tensor:
        return result


def quadrature(rule: Quadrature, steps: int) -> tuple[Floats, Floats]:
    """Positions and weights with which a rule integrates over [0, 1]; the weights sum to one."""
    k, ones = np.arange(steps), np.ones(steps)
    rules: dict[Quadrature, Callable[[], tuple[Floats, Floats]]] = {
        "gauss_legendre": lambda: _gauss_legendre(steps),
        "midpoint": lambda: ((k + 0.5) / steps, ones),
        "trapezoid": lambda: (k / (steps - 1), np.where((k == 0) | (k == steps - 1), 0.5, 1.0)),
        "right": lambda: ((k + 1) / steps, ones),
        "inclusive": lambda: (k / (steps - 1), ones),
    }
    positions, weights = rules[rule]()
    return positions, weights / weights.sum()


def _gauss_legendre(steps: int) -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    return (x + 1) / 2, w


def _fitting(baseline: Tensor | float, images: Tensor) -> Tensor | float:
    if not isinstance(baseline, Tensor):
        return baseline
    if baseline.shape != images.shape[1:]:
        raise ConfigError(
            f"the baseline's shape is {tuple(baseline.shape)}, but an image's is "
            f"{tuple(images.shape[1:])}: they must be equal. Use one number for all pixels."
        )
    return baseline.to(images)
