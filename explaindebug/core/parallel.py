"""Run jobs in parallel threads, with the same results as one after another."""

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
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: respects taskset and containers
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(
    model: nn.Module, jobs: Sequence[Job[T]], workers: int, done: Callable[[int, T], None]
) -> None:
    """Call `done(index, result)` for every job, in this thread, as the jobs finish.

    Each worker has its own `twin` of the model, so that hooks, and state that a model writes in its
    forward pass, are not shared between threads.
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
        torch.set_num_threads(threads)  # the setting is per thread
        own_twin = twins.get()
        try:
            return i, jobs[i](own_twin)
        finally:
            twins.put(own_twin)

    with _submitted([partial(run, i) for i in range(len(jobs))], workers) as futures:
        for i, result in map(_result, as_completed(futures)):
            done(i, result)


def parallel_map(calls: Sequence[Callable[[], T]], workers: int) -> Iterator[T]:
    """The results of the calls, in order; up to `workers` calls run at once, on one core each."""
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
    """Futures of the calls; on an exception or Ctrl-C, those not yet started are cancelled."""
    futures = [_pool(workers).submit(call) for call in calls]
    try:
        yield futures
    finally:
        for future in futures:
            future.cancel()
        wait(futures)
        futures.clear()


def _result(future: Future[T]) -> T:
    """The future's result, without a reference to the future in any frame of a traceback.

    An exception whose traceback refers to its own future is a reference cycle, which would keep the
    models of all workers alive.
    """
    try:
        return future.result()
    finally:
        del future


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """A pool that is kept: starting a thread costs more than a small network's passes."""
    return ThreadPoolExecutor(workers, thread_name_prefix="attribution")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def twin(model: nn.Module) -> nn.Module:
    """A copy of the modules whose parameters and buffers share the original's memory.

    They are separate tensor objects, so that one worker can swap its weights (`exchanged`) while
    another still uses the original ones.
    """
    own: dict[int, Any] = {
        id(p): nn.Parameter(p.detach(), p.requires_grad) for p in model.parameters()
    }
    own |= {id(b): b.detach() for b in model.buffers()}
    copied: nn.Module = Copier(own)(model)
    return copied


@contextmanager
def intra_op_threads(number: int | None) -> Iterator[None]:
    """Set the number of threads that torch uses within an operation; None keeps the current one."""
    before = torch.get_num_threads()
    try:
        if number is not None:
            torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)
