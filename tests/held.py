"""What this process holds, to be compared before and after many calls."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from explaindebug.callbacks.cost import give_back

# MB by which resident memory may rise without a reason of ours: Python's own pools fill up. A copy
# of the tests' networks left in each of 150 calls would be 15 MB.
NOISE = 10.0


class Held(NamedTuple):
    """Objects that are alive after a collection, what the system has open, and MB of memory."""

    tensors: int
    modules: int
    figures: int
    hooks: int  # on the models given
    threads: int
    files: int
    megabytes: float

    def risen(self, before: "Held") -> dict[str, float]:
        """What is more than it was, by name."""
        allowed = dict.fromkeys(self._fields, 0.0) | {"megabytes": NOISE}
        rises = {k: a - b for k, a, b in zip(self._fields, self, before, strict=True)}
        return {name: rise for name, rise in rises.items() if rise > allowed[name]}


@contextmanager
def only_new() -> Iterator[None]:
    """Inside, objects that exist already are not counted, which makes counting fast."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def held(*models: nn.Module) -> Held:
    """As of now, after a collection."""
    gc.collect()
    kinds = [type(x) for x in gc.get_objects()]
    give_back()  # else it shows how much freed memory malloc happens to keep
    counts = (sum(issubclass(kind, c) for kind in kinds) for c in (torch.Tensor, nn.Module, Figure))
    hooks = sum(_hooks(module) for model in models for module in model.modules())
    files = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    return Held(*counts, hooks, threading.active_count(), files, _resident())


def risen(call: Callable[[], object], calls: int, *models: nn.Module) -> dict[str, float]:
    """What there is more of after so many calls than after the first quarter of them."""
    warm = calls // 4
    with only_new():
        for _ in range(warm):
            call()
        before = held(*models)
        for _ in range(calls - warm):
            call()
        return held(*models).risen(before)


def left(call: Callable[[], object]) -> int:
    """Tensors that a call leaves alive until a collector looks for them."""
    call()  # what is kept once is no matter here
    with only_new():
        gc.disable()
        try:
            call()
            return sum(issubclass(type(x), torch.Tensor) for x in gc.get_objects())
        finally:
            gc.enable()


def _hooks(module: nn.Module) -> int:
    hooks: Iterable[dict[int, object]] = (
        v for k, v in vars(module).items() if k.endswith("_hooks") and isinstance(v, dict)
    )
    return sum(map(len, hooks))


def _resident() -> float:
    """MB of this process in memory; 0 where the system is not Linux."""
    if sys.platform != "linux":
        return 0.0
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
