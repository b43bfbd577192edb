"""Forward passes over images with superpixels switched off, shared between methods."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.method import Passes
from explaindebug.attributions._engine.targets import logits_of, score
from explaindebug.attributions._support.coalitions import Sampler
from explaindebug.attributions._support.memo import Memo
from explaindebug.attributions._support.off import Off, off_images
from explaindebug.attributions._support.superpixels import Segmenter, superpixels
from explaindebug.core.errors import AttributionError


class Weights(NamedTuple):
    """A surrogate's weights, and the superpixels that they belong to."""

    values: Tensor  # (n, m) float64 on the CPU, zero beyond an image's own number of superpixels
    labels: Tensor  # (n, h, w) int64


@dataclass(frozen=True)
class Scores:
    """Called with g images and k coalitions, the explained outputs (g, k), float64 on the CPU."""

    model: nn.Module
    off: Off
    output: str
    batch: int  # perturbed images per forward pass

    @torch.no_grad()
    def __call__(
        self, images: Tensor, off: Tensor, labels: Tensor, targets: Tensor, coalitions: Tensor
    ) -> Tensor:
        size = at_once(images, self.batch, len(coalitions))
        rows = torch.split(coalitions.to(images.device), size)
        each = zip(images, off, labels, targets, strict=True)
        scores = [[self._scores(*one, few) for few in rows] for one in each]
        return torch.stack([torch.cat(found) for found in scores]).cpu().double()

    def _scores(
        self, image: Tensor, off: Tensor, labels: Tensor, target: Tensor, coalitions: Tensor
    ) -> Tensor:
        """The outputs (k,) for one image (c, h, w)."""
        keep = coalitions[:, labels][:, None]
        logits = logits_of(self.model, mixed(keep, image, off))
        return output_of(logits, target.expand(len(coalitions)), self.output)


@dataclass(frozen=True)
class Perturbed(Passes):
    """Surrogate `Weights` from forward passes over images with superpixels switched off.

    Passes with the same `question` (segmenter, off, output) share the perturbed images that they
    have in common. LIME and KernelSHAP sample coalitions from different distributions, so with
    fifty superpixels these are few; with up to about ten, most.
    """

    together: ClassVar[bool] = True

    sampler: Sampler
    segmenter: Segmenter
    off: Off
    output: str

    @property
    def question(self) -> tuple[Segmenter, Off, str]:
        """What a perturbed image's score depends on besides the coalition."""
        return self.segmenter, self.off, self.output

    @property
    def calls(self) -> tuple[float, float]:
        return self.sampler.samples, 0.0

    def check_images(self, images: Tensor) -> None:
        labels = superpixels(images, self.segmenter)  # cached for `run`
        pixels = labels[0].numel()
        single = (labels.flatten(1).amax(1) + 1 == pixels).nonzero().flatten().tolist()
        if self.off == "mean" and single:
            raise AttributionError(
                f"each pixel of input {single[0]} of the images ({labels.shape[1]} x "
                f"{labels.shape[2]} px) is a superpixel of its own under {self.segmenter}, so "
                "off=mean switches nothing off. Use fewer and larger superpixels "
                "(segmenter={grid: {rows: 4, columns: 4}}), or set off=zeros."
            )

    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Weights:
        return self.run_together([self], model, images, targets, batch)[0]

    @classmethod
    def run_together(
        cls,
        group: Sequence[Self],
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        batch: int = 32,
    ) -> list[Weights]:
        found: dict[Self, Weights] = {}
        for question in dict.fromkeys(passes.question for passes in group):
            asking = [p for p in dict.fromkeys(group) if p.question == question]
            scores = Scores(model, asking[0].off, asking[0].output, batch)
            labels = superpixels(images, asking[0].segmenter)
            samplers = tuple(p.sampler for p in asking)
            found |= zip(asking, _fitted(samplers, scores, images, targets, labels), strict=True)
        return [found[passes] for passes in group]


def _fitted(
    samplers: tuple[Sampler, ...], scores: Scores, images: Tensor, targets: Tensor, labels: Tensor
) -> list[Weights]:
    """Each sampler's weights; images with equally many superpixels are fitted together.

    If switching off changes nothing (a picture of one colour with off=mean, a network whose score
    stays the same), the weights are exactly zero rather than rounding errors.
    """
    off = off_images(scores.off, images, labels)
    numbers = labels.flatten(1).amax(1) + 1
    values = [torch.zeros(len(images), int(numbers.max()), dtype=torch.float64) for _ in samplers]
    changed = (off != images).flatten(1).any(1).cpu()
    for m in sorted(set(numbers.tolist())):
        same = (numbers == m).nonzero().squeeze(1)
        union = _union(samplers, m)
        found = scores(images[same], off[same], labels[same], targets[same], union.coalitions)
        changed[same.cpu()] &= found.amax(1) != found.amin(1)
        for value, solver, rows in zip(values, union.solvers, union.rows, strict=True):
            value[same.cpu(), :m] = found[:, rows] @ solver.T
    return [Weights(value.where(changed[:, None], 0.0), labels) for value in values]


class _Union(NamedTuple):
    """The distinct coalitions of several designs, and each design's rows among them."""

    coalitions: Tensor  # (k, m) bool
    rows: list[Tensor]  # per design: (k of the design,)
    solvers: list[Tensor]  # per design: (m, k of the design)

    @property
    def bytes(self) -> int:
        return sum(x.nbytes for x in (self.coalitions, *self.rows, *self.solvers))


_UNIONS: Memo[_Union] = Memo(2**27, lambda union: union.bytes)


def _union(samplers: tuple[Sampler, ...], m: int) -> _Union:
    return _UNIONS.get((samplers, m), lambda: _united(samplers, m))


def _united(samplers: tuple[Sampler, ...], m: int) -> _Union:
    designs = [sampler(m) for sampler in samplers]
    stacked = np.vstack([d.coalitions for d in designs])
    distinct, rows = np.unique(stacked, axis=0, return_inverse=True)
    ends = np.cumsum([len(d.coalitions) for d in designs])[:-1]
    parts = [torch.from_numpy(part) for part in np.split(rows.reshape(-1), ends)]
    solvers = [torch.from_numpy(d.solver) for d in designs]
    return _Union(torch.from_numpy(distinct), parts, solvers)


def at_once(images: Tensor, batch: int, number: int) -> int:
    """Images per forward pass; on a CPU no more than fit into the cache (measured)."""
    if images.device.type == "cpu":
        batch = min(batch, max(8, 2**16 // images[0, 0].numel()))
    passes = math.ceil(number / batch)
    return math.ceil(number / passes)


def mixed(keep: Tensor, on: Tensor, off: Tensor) -> Tensor:
    """Pixels of the image `on` (c, h, w) where `keep` (k, 1, h, w), else those of `off`.

    The memory layout is that of the batch that `on` comes from, which its strides reveal.
    """
    last = on.stride(0) == 1 and on.shape[0] > 1
    layout = torch.channels_last if last else torch.contiguous_format
    shape = (len(keep), *on.shape)
    mixed = torch.empty(shape, dtype=on.dtype, device=on.device, memory_format=layout)
    return torch.where(keep, on, off, out=mixed)


def output_of(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    """The explained output (n,): the target's logit, or its probability."""
    logit = score(logits, targets)
    if output == "logit":
        return logit
    if logits.ndim == 1 or logits.shape[1] == 1:
        return logit.sigmoid()
    return (logit - logits.logsumexp(1)).exp()
