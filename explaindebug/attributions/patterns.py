"""Patterns: for each unit of each linear operation, the direction in its input that moves it.

A unit computes y = w^T x, but w also has to cancel what distracts, so w is not the direction of
the signal. The pattern is: a = cov(x, y) / (w^T cov(x, y)), over inputs that make the unit active.

Source: Kindermans et al. 2018, the two-component estimator.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from explaindebug.attributions.canonical import KINDS, canonise, per_unit, require
from explaindebug.attributions.graph import Graph, op_of
from explaindebug.attributions.ops import Linear
from explaindebug.attributions.tape import Tape
from explaindebug.attributions.targets import explained
from explaindebug.errors import ConfigError, DataError
from explaindebug.watching import watch

NEEDED_BY = "PatternNet and PatternAttribution"


@dataclass(frozen=True, eq=False)
class Patterns:
    """The patterns of a network's layers, by the layer's name, each with the shape of its weight.

    A layer that is used more than once has patterns for each use: `conv`, `conv#2`. `about` says
    what they were fitted on.
    """

    tensors: dict[str, Tensor]
    about: dict[str, str | int]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes them as plain tensors and strings, which load without running code."""
        torch.save({"tensors": self.tensors, "about": self.about}, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Patterns that `save` wrote; raises DataError where the file is none."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            return cls(content["tensors"], content["about"])
        except Exception as error:
            raise DataError(f"{path} can't be read as patterns: {error}") from error

    def check(self, layers: Sequence[Linear], *, weights_too: bool) -> None:
        """Raises ConfigError, with the names of layers, where patterns don't belong to a network.

        `weights_too` asks that they were fitted on these very weights: w^T a is 1 for each unit, or
        0 for one that was never active.
        """
        wrong = [op.name for op in layers if not self._has_shape(op)]
        if not wrong and weights_too:
            wrong = [op.name for op in layers if not _belong(op.weight, self.of(op))]
        if wrong:
            raise ConfigError(
                f"the patterns were fitted on another model ({self.about.get('model')}): they "
                f"don't belong to {', '.join(wrong)}. Fit them on this one (`prepare`, or "
                "`fit_patterns`), or choose patterns=frozen to keep those of other weights of the "
                "same network."
            )

    def of(self, op: Linear) -> Tensor:
        """The patterns of an operation, in the dtype and on the device of its weight."""
        return self.tensors[op.name].to(op.weight)

    def _has_shape(self, op: Linear) -> bool:
        return op.name in self.tensors and self.tensors[op.name].shape == op.weight.shape


def fit_patterns(model: nn.Module, images: Tensor | Iterable[Any], *, batch: int = 32) -> Patterns:
    """The patterns of a model's layers, from one pass over images as it was trained on.

    `images` is a tensor (n, c, h, w), or a loader whose batches are tensors or begin with one. At
    most `batch` images go through the model at once, and of all that is seen only running means
    stay: memory is that of one batch and three times the weights.

    Each place of a convolution is a sample x, with y = w^T x without bias. E+[x] and E+[x y] are
    means over the samples for which the unit's output is positive (with its bias, and after a
    BatchNorm, which counts as part of the layer), and E[y] is the mean over all:
    a = cov / (w^T cov) with cov = E+[x y] - E+[x] E[y].

    Raises:
        UnsupportedModelError: for a model with sums of activations, or operations without a rule.
        DataError: without any image.
    """
    with watch(model) as private:
        return _fit(private, _batches(images, batch, private))


_LATEST: WeakKeyDictionary[nn.Module, tuple[str, Patterns]] = WeakKeyDictionary()


def patterns_of(model: nn.Module, images: Tensor) -> Patterns:
    """As `fit_patterns`, for a model under `watch`; the second to ask gets the first one's.

    That is for PatternNet and PatternAttribution side by side. The same model with other weights,
    or with other images, is fitted again.
    """
    content = _fingerprint([*model.parameters(), *model.buffers(), images])
    known, patterns = _LATEST.get(model, ("", None))
    if patterns is None or known != content:
        patterns = _fit(model, _batches(images, 32, model))
        _LATEST[model] = content, patterns
    return patterns


def layers_of(graph: Graph) -> list[Linear]:
    """The linear operations of a canonical graph, with their BatchNorms."""
    ops = (op_of(node) for node in graph.nodes)
    return [op.merged or op for op in ops if isinstance(op, Linear)]


def _fit(model: nn.Module, batches: Iterator[Tensor]) -> Patterns:
    means: dict[str, _Means] = {}
    layers: list[Linear] = []
    images = 0
    for batch in batches:
        layers = _run(model, batch)
        for op in layers:
            means.setdefault(op.name, _Means(op.weight)).add(op)
        images += len(batch)
    if not images:
        raise DataError("patterns can't be fitted without images: the loader or tensor is empty.")
    tensors = {op.name: means[op.name].patterns(op) for op in layers}
    return Patterns(tensors, {"model": type(model).__name__, "images": images})


def _run(model: nn.Module, batch: Tensor) -> list[Linear]:
    tape, x = Tape(KINDS), batch.detach().clone().requires_grad_()

    def forward() -> Tensor:
        with tape:
            return explained(model, x, torch.zeros(len(x), dtype=torch.long, device=x.device))

    graph = Graph(forward(), model, forward)
    canonise(graph)
    require(graph, NEEDED_BY, sums=False)
    return layers_of(graph)


class _Means:
    """Running means of what one layer sees: E+[x], E+[x y] (as its weight) and E[y] (out,).

    All y are taken relative to their mean in the first batch, which does not change the covariance
    E+[x (y - E[y])], but keeps it from drowning in rounding where y varies little.
    """

    def __init__(self, weight: Tensor) -> None:
        self.x, self.xy = torch.zeros_like(weight), torch.zeros_like(weight)
        self.y = weight.new_zeros(len(weight), dtype=torch.float64)
        self.active, self.seen = torch.zeros_like(self.y), 0
        self.origin: Tensor | None = None

    def add(self, op: Linear) -> None:
        """Takes in what the operation has just seen."""
        z, ones = op.output, [1] * (op.weight.ndim - 2)
        places = [d for d in range(z.ndim) if d != z.ndim - 1 - len(ones)]
        if self.origin is None:  # with the bias, as z has it
            self.origin = z.mean(places)
        y = z - self.origin.reshape(-1, *ones)
        mask = (z > 0).to(z.dtype)
        new = mask.sum(places).double()
        self.active += new
        self.seen += z.numel() // len(new)
        share = per_unit(op, 1 / self.active.clamp(min=1)).to(z.dtype)
        new = per_unit(op, new).to(z.dtype)
        self.x += share * (op.correlation(mask) - new * self.x)
        self.xy += share * (op.correlation(mask * y) - new * self.xy)
        self.y += y.sum(places, dtype=torch.float64)

    def patterns(self, op: Linear) -> Tensor:
        """The pattern of each unit; zeros for one that was never active."""
        covariance = self.xy - self.x * per_unit(op, self.y / self.seen).to(self.x.dtype)
        along = _along(op.weight, covariance)
        return covariance / per_unit(op, along.masked_fill(along == 0, 1.0))


def _along(weight: Tensor, direction: Tensor) -> Tensor:
    """The product w^T a of each unit (out,)."""
    return (weight * direction).flatten(1).sum(1)


def _belong(weight: Tensor, pattern: Tensor) -> bool:
    along = _along(weight, pattern)
    return bool((((along - 1).abs() < 1e-2) | (along == 0)).all())


def _batches(images: Tensor | Iterable[Any], size: int, model: nn.Module) -> Iterator[Tensor]:
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    for batch in [images] if isinstance(images, Tensor) else images:
        pixels = batch if isinstance(batch, Tensor) else batch[0]
        for part in pixels.split(size) if len(pixels) else ():
            yield part.to(device)


def _fingerprint(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.blake2b()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
