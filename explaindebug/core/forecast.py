"""How long work on many inputs will take, estimated by timing it on a few."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

FEW = 8  # most inputs that are timed for an estimate


class Cost(NamedTuple):
    """Seconds of a measurement: for the first input, and for each further one."""

    first: float
    more: float

    def seconds(self, inputs: int) -> float:
        """Seconds for this number of inputs."""
        return self.first + self.more * max(0, inputs - 1)

    def inputs(self, budget: float) -> int:
        """Number of inputs that fit into `budget` seconds, but at least 1."""
        left = budget - self.first
        return 1 if left <= 0 else 1 + math.floor(min(left / max(self.more, 1e-9), 1e9))

    @classmethod
    def worst(cls, costs: Sequence[Self]) -> Self:
        """The cost of the slowest process, for which all others wait."""
        return cls(*map(max, zip(*costs, strict=True)))


def timed(measure: Callable[[int], object], inputs: int) -> Cost:
    """The cost of `measure(k)`, estimated from a few calls with k much smaller than `inputs`."""
    measure(1)  # warm-up
    one = _seconds(measure, 1)
    few = min(FEW, inputs // 4)
    if few < 2:
        return Cost(one, one)
    return Cost(one, max(0.0, _seconds(measure, few) - one) / (few - 1))


def duration(seconds: float) -> str:
    """For example `0.04 s`, `0.4 s`, `3 s`, `2 min`: no more digits than an estimate deserves."""
    if seconds >= 90:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds:.1g} s"


def _seconds(measure: Callable[[int], object], inputs: int) -> float:
    start = time.perf_counter()
    measure(inputs)
    return time.perf_counter() - start
