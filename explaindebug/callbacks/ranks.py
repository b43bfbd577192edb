"""Collectives: each process has a share of the inputs, and all end with the same scores."""

from collections.abc import Callable
from typing import TypeVar

import torch.distributed as dist
from torch import nn

from explaindebug.core.errors import AttributionError

T = TypeVar("T")


def processes() -> int:
    """Number of processes that work together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gathered(value: T) -> list[T]:
    """The values of all processes, by rank; every process must call this."""
    if processes() == 1:
        return [value]
    values: list[T | None] = [None] * processes()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def together(work: Callable[[], T]) -> list[T]:
    """The results of `work` on all processes, by rank; every process must call this.

    If only one process raised, the others would wait forever. Errors are therefore exchanged with
    the results, and if one process fails, all of them raise.

    Raises:
        AttributionError: with the first error, and the rank of its process.
    """
    result: T | None = None
    error: Exception | None = None
    try:
        result = work()
    except Exception as caught:
        error = caught
    message = None if error is None else f"{type(error).__name__}: {error}"
    found = gathered((result, message))
    for rank, (_, failure) in enumerate(found):
        if failure is not None:
            where = f"rank {rank}: " if processes() > 1 else ""
            raise AttributionError(f"{where}{failure}") from error
    return [value for value, _ in found]  # type: ignore[misc]


def equalise(network: nn.Module, source: int, *, whole: bool) -> None:
    """Broadcast the network of process `source`: its buffers or, if `whole`, parameters as well.

    Under DDP, parameters are equal, but each process has its own BatchNorm statistics; a checkpoint
    has those of one process.
    """
    if processes() == 1:
        return
    tensors = dict(network.named_buffers()) | (dict(network.named_parameters()) if whole else {})
    box = [{name: tensor.cpu() for name, tensor in tensors.items()}]
    dist.broadcast_object_list(box, src=source)
    for name, tensor in tensors.items():
        tensor.data.copy_(box[0][name])
