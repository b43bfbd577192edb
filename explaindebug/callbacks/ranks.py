"""What processes tell each other: each has a share of the inputs, all end with the same scores."""

from collections.abc import Callable
from typing import TypeVar

import torch.distributed as dist
from torch import nn

from explaindebug.core.errors import AttributionError

T = TypeVar("T")


def processes() -> int:
    """How many processes work together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gathered(value: T) -> list[T]:
    """The value of every process, in order of rank; every process must call it."""
    if processes() == 1:
        return [value]
    values: list[T | None] = [None] * processes()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def together(work: Callable[[], T]) -> list[T]:
    """What `work` gives on every process, in order of rank; every process must call it.

    A process that raises alone leaves the others waiting for ever, so failures travel with the
    results, and where one process fails, all of them raise.

    Raises:
        AttributionError: with the first failure, and on which process it was.
    """
    result: T | None = None
    error: Exception | None = None
    try:
        result = work()
    except Exception as caught:
        error = caught
    said = None if error is None else f"{type(error).__name__}: {error}"
    found = gathered((result, said))
    for rank, (_, failure) in enumerate(found):
        if failure is not None:
            where = f"rank {rank}: " if processes() > 1 else ""
            raise AttributionError(f"{where}{failure}") from error
    return [value for value, _ in found]  # type: ignore[misc]


def equalise(network: nn.Module, source: int, *, whole: bool) -> None:
    """Give every process the network of process `source`: its buffers, or the `whole` of it.

    Under DDP parameters are equal, but each process has BatchNorm statistics of its own; those of
    one process are the ones that a checkpoint would hold.
    """
    if processes() == 1:
        return
    tensors = dict(network.named_buffers()) | (dict(network.named_parameters()) if whole else {})
    box = [{name: tensor.cpu() for name, tensor in tensors.items()}]
    dist.broadcast_object_list(box, src=source)
    for name, tensor in tensors.items():
        tensor.data.copy_(box[0][name])
