"""Jobs side by side on several cores, with the same result as one after another."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from torch import nn

from explaindebug.core.copying import Copier

T = TypeVar("T")
Job = Callable[[nn.Module], T]


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: knows of taskset and of containers
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(
    model: nn.Module, jobs: Sequence[Job[T]], workers: int, done: Callable[[int, T], None]
) -> None:
    """Calls `done(index, result)` for every job, in this thread, as they end.

    Each worker has its own `twin` of the model: hooks, and whatever else a model notes about itself
    in a forward pass, must not meet those of another thread.
    """
    if workers <= 1 or len(jobs) <= 1:
        for i, job in enumerate(jobs):
            done(i, job(model))
        return
    twins: SimpleQueue[nn.Module] = SimpleQueue()
    for _ in range(workers):
        twins.put(twin(model))
    threads = torch.get_num_threads()

    def run(i: int) -> tuple[int, T]:
        torch.set_num_threads(threads)  # each thread has a number of its own
        mine = twins.get()
        try:
            return i, jobs[i](mine)
        finally:
            twins.put(mine)

    with _submitted([partial(run, i) for i in range(len(jobs))], workers) as futures:
        for i, result in map(_result, as_completed(futures)):
            done(i, result)


def side_by_side(calls: Sequence[Callable[[], T]], workers: int) -> Iterator[T]:
    """What each call gives, in their order; so many are made at once, each on one core."""
    if workers <= 1 or len(calls) <= 1:
        yield from (call() for call in calls)
        return

    def run(call: Callable[[], T]) -> T:
        torch.set_num_threads(1)
        return call()

    with _submitted([partial(run, call) for call in calls], workers) as futures:
        yield from map(_result, futures)


@contextmanager
def _submitted(calls: Sequence[Callable[[], T]], workers: int) -> Iterator[list[Future[T]]]:
    """The calls on their way; after an exception or Ctrl-C, only those that run end."""
    futures = [_pool(workers).submit(call) for call in calls]
    try:
        yield futures
    finally:
        for future in futures:
            future.cancel()
        wait(futures)
        futures.clear()


def _result(future: Future[T]) -> T:
    """Without a variable for it in any frame of the traceback of what it raises.

    An exception that leads back to its own future is a cycle, and holds the models of all workers.
    """
    try:
        return future.result()
    finally:
        del future


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that stay: the memory of a new one costs more than a small network's passes."""
    return ThreadPoolExecutor(workers, thread_name_prefix="attribution")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of our threads


def twin(model: nn.Module) -> nn.Module:
    """A copy of the modules whose parameters and buffers lie in the same memory.

    They are tensors of its own nevertheless, so that one worker can exchange its weights for others
    (`exchanged`) while the next one still needs them.
    """
    own: dict[int, Any] = {
        id(p): nn.Parameter(p.detach(), p.requires_grad) for p in model.parameters()
    }
    own |= {id(b): b.detach() for b in model.buffers()}
    copied: nn.Module = Copier(own)(model)
    return copied


@contextmanager
def intra_op_threads(number: int | None) -> Iterator[None]:
    """Torch computes each operation with so many threads; None leaves it as it is."""
    before = torch.get_num_threads()
    try:
        if number is not None:
            torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)
