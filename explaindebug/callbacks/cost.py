"""What a measurement costs, told before the first whole one, and a probe that fits a budget."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import torch

FEW = 8  # inputs that are timed at most


class Cost(NamedTuple):
    """Seconds of a measurement: those of its first input, and of each one more."""

    first: float
    more: float

    def seconds(self, inputs: int) -> float:
        """Seconds for so many inputs."""
        return self.first + self.more * max(0, inputs - 1)

    def inputs(self, budget: float) -> int:
        """How many inputs `budget` seconds are enough for; at least 1, whatever that takes."""
        left = budget - self.first
        return 1 if left <= 0 else 1 + math.floor(min(left / max(self.more, 1e-9), 1e9))

    @classmethod
    def worst(cls, costs: Sequence[Self]) -> Self:
        """That of the slowest process, for which all others wait."""
        return cls(*map(max, zip(*costs, strict=True)))


class Forecast:
    """Says once what a measurement will take, and once what it took."""

    def __init__(self, budget: float | None) -> None:
        self._budget = budget
        self._before = self._after = False  # what has been said
        self._peak = 0

    def begin(self, device: torch.device) -> None:
        """Note how much memory was held before anything of ours was."""
        self._peak = self._peak or peak(device)

    def wanted(self, inputs: int, *, fitting: bool) -> bool:
        """Whether to time a few inputs first: once, and where all of them are many more."""
        asked = self._budget is not None or (fitting and inputs >= FEW)
        return asked and not self._before

    def before(self, what: str, seconds: float, each: str) -> str:
        """The sentence beforehand; `each` is what is measured, a validation or an epoch."""
        self._before = True
        return f"explaindebug: {what}: about {duration(seconds)} per {each}."

    def after(self, what: str, seconds: float, device: torch.device, *, fitting: bool) -> str:
        """The sentence afterwards, or nothing if there is none to say."""
        if self._after or not (fitting or self._budget is not None):
            return ""
        self._after = True
        rise = peak(device) - self._peak
        held = f"{size(rise)} more memory" if rise > 2**20 else "no more memory"
        return f"explaindebug: {what} took {duration(seconds)}, and {held} than was in use before."


def timed(measure: Callable[[int], object], inputs: int) -> Cost:
    """The cost of `measure(k)`, from a few calls whose k is small against `inputs`."""
    measure(1)  # what is slow only the first time
    one = _seconds(measure, 1)
    few = min(FEW, inputs // 4)
    if few < 2:
        return Cost(one, one)
    return Cost(one, max(0.0, _seconds(measure, few) - one) / (few - 1))


def peak(device: torch.device) -> int:
    """The most memory in bytes that this process has held so far on the device; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def duration(seconds: float) -> str:
    """As `0.04 s`, `0.4 s`, `3 s`, `2 min`: no more digits than an estimate has."""
    if seconds >= 90:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds:.1g} s"


def size(count: int) -> str:
    """As `3 MB`, `1.2 GB`."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


def _seconds(measure: Callable[[int], object], inputs: int) -> float:
    start = time.perf_counter()
    measure(inputs)
    return time.perf_counter() - start
