"""What processes tell each other: each has a share of the inputs, all end with the same scores."""

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def gathered(value: T) -> list[T]:
    """The value of every process, in order of rank; every process must call it."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def agree(error: Exception | None) -> str | None:
    """The first failure on any process, as a sentence, or None.

    A process that raises alone leaves the others waiting for ever, so failures are exchanged first.
    """
    said = None if error is None else f"{type(error).__name__}: {error}"
    for rank, failure in enumerate(gathered(said)):
        if failure is not None:
            return failure if not dist.is_initialized() else f"rank {rank}: {failure}"
    return None
