"""What a measurement costs, told before the first whole one, and a probe that fits a budget."""

import ctypes
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple, Self

import torch
from torch import nn

FEW = 8  # inputs that are timed at most
MB = 2**20  # bytes


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

    def wanted(self, inputs: int, *, fitting: bool) -> bool:
        """Whether to time a few inputs first: once, and where all of them are many more."""
        asked = self._budget is not None or (fitting and inputs >= FEW)
        return asked and not self._before

    def before(self, what: str, seconds: float, each: str) -> str:
        """The sentence beforehand; `each` is what is measured, a validation or an epoch."""
        self._before = True
        return f"explaindebug: {what}: about {duration(seconds)} per {each}."

    def still_to_say(self, *, fitting: bool) -> bool:
        """Whether there is to be a sentence afterwards."""
        return (fitting or self._budget is not None) and not self._after

    def after(self, what: str, seconds: float, memory: str) -> str:
        """The sentence afterwards; `memory` as `Memory.said` has it."""
        self._after = True
        return f"explaindebug: {what} took {duration(seconds)}{memory}."


class Memory:
    """While entered, watches how much memory this process holds on a device.

    On a CPU a thread looks every few milliseconds, in Linux alone; what the C library keeps of
    freed memory goes back to the system first, as use of it would be seen as none. On a GPU it is
    torch's own record; where that is of something earlier, only a bound is known. No record is
    reset, which might be somebody else's.
    """

    EVERY = 0.005  # seconds

    def __init__(self, device: torch.device, network: nn.Module, *, wanted: bool = True) -> None:
        self._device = device
        self._copy = sum(x.nbytes for x in (*network.parameters(), *network.buffers()))
        if wanted and device.type == "cpu":
            give_back()
        self._before = resident(device) if wanted else None
        self._record = peak(device)
        self._most = self._before or 0
        self._over = Event()
        self._thread = Thread(target=self._look, name="memory", daemon=True)

    def __enter__(self) -> Self:
        if self._before is not None and self._device.type == "cpu":
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        now = peak(self._device)
        self._exact = self._device.type == "cpu" or now > self._record
        if now > self._record or not self._exact:
            self._most = max(self._most, now)

    @property
    def said(self) -> str:
        """`, and up to 255 MB of memory`: the network's copy and all above it; empty if unknown."""
        if self._before is None:
            return ""
        bound = "up to " if self._exact else "at most "
        return f", and {bound if self.bytes >= MB else ''}{size(self.bytes)} of memory"

    @property
    def bytes(self) -> int:
        """The most that was held at a time above what was held at the start, with the copy."""
        return self._copy + max(0, self._most - (self._before or 0))

    def _look(self) -> None:
        while not self._over.wait(self.EVERY):
            self._most = max(self._most, resident(self._device) or 0)


def timed(measure: Callable[[int], object], inputs: int) -> Cost:
    """The cost of `measure(k)`, from a few calls whose k is small against `inputs`."""
    measure(1)  # what is slow only the first time
    one = _seconds(measure, 1)
    few = min(FEW, inputs // 4)
    if few < 2:
        return Cost(one, one)
    return Cost(one, max(0.0, _seconds(measure, few) - one) / (few - 1))


def resident(device: torch.device) -> int | None:
    """The memory in bytes that this process holds now on the device; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type != "cpu" or sys.platform != "linux":
        return None
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Returns freed memory to the system, where the C library is glibc; else does nothing."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


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
    """As `3 MB`, `1.2 GB`, `less than 1 MB`."""
    if count < MB:
        return "less than 1 MB"
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / MB:.0f} MB"


def _seconds(measure: Callable[[int], object], inputs: int) -> float:
    start = time.perf_counter()
    measure(inputs)
    return time.perf_counter() - start
