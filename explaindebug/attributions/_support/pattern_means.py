"""Running statistics of one layer, from which its patterns are estimated."""

import torch
from torch import Tensor

from explaindebug.attributions._autograd.canonizer import per_unit
from explaindebug.attributions._autograd.ops import Linear


class Estimator:
    """The patterns of one layer's units, from all inputs so far.

    A unit without a ReLU after it, a class's logit, may be negative for all of them; it then gets
    the pattern over all samples, Kindermans' linear estimator.
    """

    def __init__(self, op: Linear) -> None:
        self._active = Means(op.weight)
        self._all = None if op.rectified else Means(op.weight, active_only=False)

    def add(self, op: Linear) -> None:
        """Update with the operation's current inputs and outputs."""
        self._active.add(op)
        if self._all is not None:
            self._all.add(op)

    def patterns(self, op: Linear) -> Tensor:
        """The pattern of each unit; zeros for one whose ReLU was never active."""
        found = self._active.patterns(op)
        if self._all is None:
            return found
        silent = per_unit(op, self._active.active == 0)
        return torch.where(silent, self._all.patterns(op), found)


class Means:
    """Running means of one layer: E+[x] and E+[x y], shaped like its weight, and E[y] (out,).

    E+ is over the samples for which a unit is positive, or over all. All y are taken relative to
    their mean in the first batch, which does not change the covariance E+[x (y - E[y])] but avoids
    cancellation if y varies little.
    """

    def __init__(self, weight: Tensor, *, active_only: bool = True) -> None:
        self.active_only = active_only
        self.x, self.xy = torch.zeros_like(weight), torch.zeros_like(weight)
        self.y = weight.new_zeros(len(weight), dtype=torch.float64)
        self.active, self.seen = torch.zeros_like(self.y), 0
        self.origin: Tensor | None = None

    def add(self, op: Linear) -> None:
        """Update with the operation's current inputs and outputs."""
        z, ones = op.output, [1] * (op.weight.ndim - 2)
        places = [d for d in range(z.ndim) if d != z.ndim - 1 - len(ones)]
        if self.origin is None:  # with the bias, as z has it
            self.origin = z.mean(places)
        y = z - self.origin.reshape(-1, *ones)
        mask = (z > 0).to(z.dtype) if self.active_only else torch.ones_like(z)
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
    return (weight * direction).sum(tuple(range(1, weight.ndim)))


def is_along(weight: Tensor, pattern: Tensor) -> bool:
    """Whether w^T a is 1 for each unit, or its pattern zero: true of a weight's own patterns."""
    along = _along(weight, pattern)
    wrong = ((along - 1).abs() > 1e-2) & (along != 0)
    if not wrong.any():
        return True
    rounding = 1e-5 * _along(weight.abs(), pattern.abs())  # needs memory, so only if necessary
    return not (wrong & ((along - 1).abs() > 1e-2 + rounding)).any()
