"""Cores and memory are shared out as the network needs them."""

import pytest
import torch

from explaindebug.attributions._engine import batching as capacity
from explaindebug.attributions._engine.inputs import Survey

SMALL, LARGE = Survey(bytes=2**19, block=2**18), Survey(bytes=2**26, block=2**23)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "cores", lambda: 8)


@pytest.mark.parametrize(
    ("asked", "jobs", "network", "expected"),
    [
        (None, 100, SMALL, (8, 1)),  # a core for each worker
        (None, 3, SMALL, (3, 1)),  # a small network gains nothing from more
        (None, 2, LARGE, (2, 4)),  # a large one does
        (None, 100, LARGE, (8, 1)),
        (3, 100, SMALL, (3, 1)),  # who asks for workers gets them, and the same bits
        (3, 1, LARGE, (3, 1)),
    ],
)
def test_cores_are_shared_out(
    asked: int | None, jobs: int, network: Survey, expected: tuple[int, int]
) -> None:
    assert capacity.division(asked, jobs, 8, network, CPU) == expected


def test_workers_leave_room_in_memory() -> None:
    huge = Survey(bytes=2**30, block=2**23)
    assert capacity.division(None, 100, 1, huge, CPU) == (4, 2)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (SMALL, 32),
        (Survey(bytes=2**22, block=2**18), 8),  # what a core is fastest with
        (Survey(bytes=2**22, block=2**18, weights=2**24), 16),  # large weights want more images
        (LARGE._replace(weights=2**28), 3),  # by the block: 24 MiB / 8 MiB
        (Survey(bytes=2**27, block=1, weights=2**28), 2),  # by all tensors together
        (Survey(bytes=2**40, block=2**40), 1),
        (Survey(bytes=0, block=0), 32),
    ],
)
def test_chunks_fit_into_memory(network: Survey, expected: int) -> None:
    assert capacity.fitting(32, network, CPU) == expected
