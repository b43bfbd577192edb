"""LIME and KernelSHAP: a linear surrogate of the model on superpixels that are on or off."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from explaindebug.attributions.coalitions import RidgeDesign, Sampler, ShapleyDesign, design
from explaindebug.attributions.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions.superpixels import SEGMENTERS, Segmenter, Slic, superpixels
from explaindebug.attributions.targets import score
from explaindebug.errors import ConfigError

Off = str | float | tuple[float, ...]


class Weights(NamedTuple):
    """A surrogate's weights, and the superpixels that they belong to."""

    values: Tensor  # (n, m) float64 on the CPU, zero beyond an image's own number of superpixels
    labels: Tensor  # (n, h, w) int64


@dataclass(frozen=True)
class Perturbed(Passes):
    """Surrogate `Weights` from forward passes over images with superpixels switched off.

    Passes that ask the same question (segmenter, off, output) share every perturbed image that both
    want. LIME's coin flips and KernelSHAP's coalitions follow different laws, so on fifty
    superpixels these are few; on up to about ten, most.
    """

    sampler: Sampler
    segmenter: Segmenter
    off: Off
    output: str
    samples: int = field(compare=False)
    chunk: int | None = field(default=None, compare=False)

    @property
    def question(self) -> tuple[Segmenter, Off, str]:
        """What makes a perturbed image's score, beside the coalition."""
        return self.segmenter, self.off, self.output

    @property
    def cost(self) -> float:
        """A forward pass is about half of a forward and backward pass."""
        return self.samples / 2

    def run(self, model: nn.Module, images: Tensor, targets: Tensor) -> Weights:
        return self.run_together([self], model, images, targets)[0]

    @classmethod
    def run_together(
        cls, group: Sequence[Self], model: nn.Module, images: Tensor, targets: Tensor
    ) -> list[Weights]:
        found: dict[Self, Weights] = {}
        for question in dict.fromkeys(passes.question for passes in group):
            asking = tuple(dict.fromkeys(p for p in group if p.question == question))
            found |= zip(asking, _ask(asking, model, images, targets), strict=True)
        return [found[passes] for passes in group]


def _ask(
    asking: tuple[Perturbed, ...], model: nn.Module, images: Tensor, targets: Tensor
) -> list[Weights]:
    """Weights for passes of one question; images with as many superpixels go together."""
    labels = superpixels(images, asking[0].segmenter)
    off = off_images(asking[0].off, images, labels)
    numbers = labels.flatten(1).amax(1) + 1
    values = [torch.zeros(len(images), int(numbers.max()), dtype=torch.float64) for _ in asking]
    for m in numbers.unique().tolist():
        union = _union(tuple(p.sampler for p in asking), m)
        same = (numbers == m).nonzero().squeeze(1)
        scores = _scores(
            asking[0], model, images[same], off[same], labels[same], targets[same], union.coalitions
        )
        for value, solver, rows in zip(values, union.solvers, union.rows, strict=True):
            value[same.cpu(), :m] = scores[:, rows] @ solver.T
    return [Weights(value, labels) for value in values]


class _Union(NamedTuple):
    """The distinct coalitions of several designs, and where each design finds its own."""

    coalitions: Tensor  # (k, m) bool
    rows: list[Tensor]  # per design: (k of the design,)
    solvers: list[Tensor]  # per design: (m, k of the design)


@lru_cache(maxsize=64)
def _union(samplers: tuple[Sampler, ...], m: int) -> _Union:
    designs = [design(sampler, m) for sampler in samplers]
    stacked = np.vstack([d.coalitions for d in designs])
    distinct, rows = np.unique(stacked, axis=0, return_inverse=True)
    parts = torch.from_numpy(rows.reshape(-1)).split([len(d.coalitions) for d in designs])
    return _Union(
        torch.from_numpy(distinct), list(parts), [torch.from_numpy(d.solver) for d in designs]
    )


@torch.no_grad()
def _scores(
    passes: Perturbed,
    model: nn.Module,
    images: Tensor,
    off: Tensor,
    labels: Tensor,
    targets: Tensor,
    coalitions: Tensor,
) -> Tensor:
    """Scores (g, k) float64 on the CPU of g images under k coalitions, a chunk at a time."""
    (g, _, h, w), k = images.shape, len(coalitions)
    pairs = torch.arange(g * k, device=images.device)
    coalitions, labels = coalitions.to(images.device), labels.flatten(1)
    scores = []
    for chunk in pairs.split(passes.chunk or _chunk(images)):
        image, row = chunk // k, chunk % k
        keep = coalitions[row].gather(1, labels[image]).view(-1, 1, h, w)
        logits = model(_mixed(keep, images[image], off[image], like=images))
        scores.append(explained(logits, targets[image], passes.output))
    return torch.cat(scores).cpu().double().view(g, k)


def _mixed(keep: Tensor, on: Tensor, off: Tensor, like: Tensor) -> Tensor:
    """The pixels to keep of `on`, else those of `off`, in the memory layout of `like`."""
    last = like.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    mixed = torch.empty(on.shape, dtype=on.dtype, device=on.device, memory_format=layout)
    return torch.where(keep, on, off, out=mixed)


def _chunk(images: Tensor) -> int:
    """Perturbed images per forward pass: what a core's cache, or a GPU's width, likes best."""
    pixels = images.shape[-1] * images.shape[-2]
    most, least, budget = (32, 8, 2**18) if images.device.type == "cpu" else (2048, 64, 2**24)
    return min(most, max(least, budget // pixels))


def explained(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    """The number (n,) that is explained: the target's logit, or its probability."""
    logit = score(logits, targets)
    if output == "logit":
        return logit
    if logits.ndim == 1 or logits.shape[1] == 1:
        return logit.sigmoid()
    return (logit - logits.logsumexp(1)).exp()


def off_images(off: Off, images: Tensor, labels: Tensor) -> Tensor:
    """Images (n, c, h, w) with all superpixels off: their mean colours, or the colour given."""
    if off == "mean":
        return _mean_colours(images, labels)
    colour = torch.tensor(0.0 if off == "zeros" else off, dtype=images.dtype)
    if colour.ndim and len(colour) != images.shape[1]:
        raise ConfigError(
            f"off has {len(colour)} channels, but the images have {images.shape[1]}: prepare the "
            "method with references that look like the images."
        )
    return colour.to(images.device).view(1, -1, 1, 1).expand_as(images)


def _mean_colours(images: Tensor, labels: Tensor) -> Tensor:
    """Each pixel with the mean colour of its superpixel; on the CPU, where sums are reproducible."""
    n, c, _, _ = images.shape
    x, at = images.cpu().double().flatten(2), labels.cpu().flatten(1)[:, None]
    sizes = torch.zeros(n, 1, int(at.max()) + 1, dtype=x.dtype)
    sums = sizes.expand(n, c, -1).clone()
    sizes.scatter_add_(2, at, torch.ones_like(x[:, :1]))
    sums.scatter_add_(2, at.expand_as(x), x)
    means = (sums / sizes.clamp(min=1)).gather(2, at.expand_as(x))
    return means.view_as(images).to(images)


@dataclass(frozen=True)
class Surrogate(Method):
    """What LIME and KernelSHAP share: superpixels, what is off, and what is explained.

    A pixel has the weight of its superpixel (not divided by the superpixel's area), the same in all
    channels, in units of the explained output.

    Options: `samples`, perturbed images at most (two more for KernelSHAP); `segmenter`, `slic`,
    `quickshift`, `grid`, one of them with options, or any hashable function of a picture; `off`,
    the colour of a superpixel that is switched off: `mean` (its own mean colour), `zeros`, a
    number, or `training_mean` (that of the references, channel by channel); `output`, `logit` or
    `probability`; `seed`; `chunk`, perturbed images per forward pass (changes memory, not maps).
    The perturbations drawn depend on the seed and the number of superpixels, and on nothing else.

    Raises:
        ConfigError: for an option out of range, or `training_mean` without references.
        AttributionError: for an image that is a single superpixel.
    """

    samples: int = 1000
    segmenter: Any = Slic(adaptive=True)
    off: Off = "mean"
    output: str = "logit"
    seed: int = 0
    chunk: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "segmenter", SEGMENTERS.build(self.segmenter))
        if not isinstance(self.off, str | int | float):
            object.__setattr__(self, "off", tuple(float(x) for x in self.off))
        if self.samples < 2:
            raise ConfigError(f"samples={self.samples}: at least 2 perturbed images are needed.")
        if self.chunk is not None and self.chunk < 1:
            raise ConfigError(f"chunk={self.chunk}: at least 1 image per forward pass is needed.")
        if self.output not in ("logit", "probability"):
            raise ConfigError(f"output={self.output!r}: logit or probability expected.")
        if isinstance(self.off, str) and self.off not in ("mean", "zeros", "training_mean"):
            raise ConfigError(f"off={self.off!r}: mean, zeros, training_mean or a number expected.")

    def prepare(self, model: nn.Module, references: Tensor) -> Self:
        if self.off != "training_mean":
            return self
        return replace(self, off=tuple(references.double().mean((0, 2, 3)).tolist()))

    def _passes(self, sampler: Sampler) -> Perturbed:
        if self.off == "training_mean":
            raise ConfigError(
                "off=training_mean needs images of the training distribution: call "
                "prepare(model, references) first, or choose off=mean or off=zeros."
            )
        return Perturbed(sampler, self.segmenter, self.off, self.output, self.samples, self.chunk)

    def reduce(self, images: Tensor, result: Weights) -> Tensor:
        pixels = result.values.gather(1, result.labels.cpu().flatten(1))
        return (
            pixels.view(len(images), 1, *images.shape[2:])
            .to(images)
            .repeat(1, images.shape[1], 1, 1)
        )


@ATTRIBUTIONS.register("lime")
@dataclass(frozen=True)
class Lime(Surrogate):
    """Ridge regression on superpixels that are on or off by coin flips, close images weighing more.

    Minimises Σ_z π(z) (F(x_z) - b - z·w)² + alpha |w|² over w and b, with π(z) = sqrt(exp(-d² /
    kernel_width²)) and d the cosine distance of z to all-on; every superpixel keeps its weight.

    Source: Ribeiro et al.: "Why should I trust you?", KDD 2016, as the authors' `lime_image`.
    """

    label: ClassVar[str] = "LIME"
    source: ClassVar[str] = "Ribeiro, Singh, Guestrin 2016, section 3"

    kernel_width: float = 0.25
    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.kernel_width > 0 and self.alpha >= 0):
            raise ConfigError(
                f"kernel_width={self.kernel_width} must be positive and alpha={self.alpha} not "
                "negative."
            )

    @property
    def passes(self) -> Perturbed:
        return self._passes(RidgeDesign(self.samples, self.kernel_width, self.alpha, self.seed))


@ATTRIBUTIONS.register("kernelshap")
@dataclass(frozen=True)
class KernelShap(Surrogate):
    """Shapley values of the superpixels, which sum to F(x) - F(off).

    Minimises Σ_z k(z) (F(x_z) - F(off) - z·w)² under Σ w = F(x) - F(off), with the Shapley kernel
    k(z) = (m - 1) / (C(m, |z|) |z| (m - |z|)). Exact when all 2^m - 2 coalitions fit into `samples`.

    Source: Lundberg, Lee: A unified approach to interpreting model predictions, NeurIPS 2017.
    """

    label: ClassVar[str] = "Kernel SHAP"
    source: ClassVar[str] = "Lundberg, Lee 2017, theorem 2"

    @property
    def passes(self) -> Perturbed:
        return self._passes(ShapleyDesign(self.samples, self.seed))
