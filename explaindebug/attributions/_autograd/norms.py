"""Normalisation by a statistic of the signal itself: LayerNorm, GroupNorm, RMSNorm, unit length."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from explaindebug.attributions._autograd.ops import Call, Late

# Names of torch functions -> names of their arguments.
NORMS = {
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "normalize": ("input", "p", "dim", "eps", "out"),
}


class Norm(Late):
    """(x - mean) / scale * weight + bias, where not every norm has all of these."""

    def __init__(self, kind: str, function: Callable[..., Any], call: Call) -> None:
        super().__init__(kind, function, call)
        self.norm = function.__name__
        self.options = dict(zip(NORMS[self.norm], call[0], strict=False)) | call[1]

    def fixed_scale(self, signal: Tensor) -> Tensor:
        """The gradient for the input, given that for the output, if the scale were a constant."""
        x, weight = self.inputs[0], self.options.get("weight")
        groups = self.options.get("num_groups")
        if weight is not None:
            # of channels, which are in the second dimension, or of the last dimensions
            signal = signal * (weight.view(-1, *[1] * (x.ndim - 2)) if groups else weight)
        if groups:
            x, signal = (y.reshape(len(y), groups, -1) for y in (x, signal))
        return self._unscaled(x, signal).view_as(self.inputs[0])

    def _unscaled(self, x: Tensor, signal: Tensor) -> Tensor:
        """The gradient without the weight."""
        if self.norm == "normalize":
            p, dim = self.options.get("p", 2.0), self.options.get("dim", 1)
            length: Tensor = x.norm(p, dim, keepdim=True)
            return signal / length.clamp_min(self.options.get("eps", 1e-12))
        shape = self.options.get("normalized_shape", (0,))
        dims = list(range(-(1 if isinstance(shape, int) else len(shape)), 0))
        if self.norm == "rms_norm":
            return signal * torch.rsqrt(x.square().mean(dims, keepdim=True) + self._eps(x))
        variance = x.var(dims, correction=0, keepdim=True)
        found = signal * torch.rsqrt(variance + self._eps(x))
        return found.sub_(found.mean(dims, keepdim=True))

    def _eps(self, x: Tensor) -> float:
        default = torch.finfo(x.dtype).eps if self.norm == "rms_norm" else 1e-5
        eps = self.options.get("eps", default)
        return default if eps is None else float(eps)
