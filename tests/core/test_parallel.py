"""Jobs side by side: the same results, private models, settings put back."""

import os
import subprocess
import sys
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from explaindebug.core.parallel import intra_op_threads, parallel_map, run_jobs, twin


def results(jobs: list[Any], workers: int, model: nn.Module | None = None) -> dict[int, Any]:
    found: dict[int, Any] = {}
    run_jobs(model or nn.Identity(), jobs, workers, lambda i, x: found.update({i: x}))
    return found


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once(workers: int) -> None:
    jobs = [lambda model, k=k: k**2 for k in range(7)]
    assert results(jobs, workers) == {k: k**2 for k in range(7)}


def test_jobs_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=20)
    assert set(results([lambda model: meeting.wait() >= 0] * 2, 2).values()) == {True}


def test_no_two_workers_share_a_model() -> None:
    model, meeting = nn.Identity(), threading.Barrier(2, timeout=20)

    def job(mine: nn.Module) -> int:
        meeting.wait()
        return id(mine)

    found = set(results([job] * 2, 2, model).values())
    assert len(found) == 2
    assert id(model) not in found


def test_a_twin_shares_its_memory_and_nothing_else() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    copy = twin(model)
    assert copy[0] is not model[0]
    for own, other in zip(copy.state_dict().values(), model.state_dict().values(), strict=True):
        assert own.data_ptr() == other.data_ptr()
    copy.register_forward_hook(lambda *_: None)
    assert not model._forward_hooks
    for own in (*copy.parameters(), *copy.buffers()):
        own.data = torch.full_like(own, 7)
    assert not any((x == 7).any() for x in model.state_dict().values())


def test_what_is_one_tensor_in_a_model_is_one_in_its_twin() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).requires_grad_(False)
    model[1].weight = model[0].weight
    copy = twin(model)
    assert copy[1].weight is copy[0].weight
    assert not copy[1].weight.requires_grad


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_error_ends_the_work(workers: int) -> None:
    done: list[int] = []

    def job(k: int) -> Any:
        def run(model: nn.Module) -> int:
            if k == 3:
                raise ValueError("three")
            done.append(k)
            return k

        return run

    with pytest.raises(ValueError, match="three"):
        results([job(k) for k in range(200)], workers)
    assert len(done) < 200
    before = len(done)
    assert len(results([lambda model: 1] * 9, workers)) == 9  # nothing waits in the workers' queue
    assert len(done) == before


def test_an_error_of_the_caller_ends_the_work_as_well() -> None:
    def refuse(i: int, x: Any) -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        run_jobs(nn.Identity(), [lambda model: 1] * 50, 2, refuse)


FORK = """
import os
from torch import nn
from explaindebug.core.parallel import run_jobs

def work():
    found = {}
    run_jobs(nn.Identity(), [lambda model: 1] * 4, 2, found.__setitem__)
    return found == dict.fromkeys(range(4), 1)

assert work()
if child := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0 if work() else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_has_workers_of_its_own() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=120)


def test_threads_are_put_back_and_hold_in_workers() -> None:
    def fail() -> None:
        with intra_op_threads(2):
            assert torch.get_num_threads() == 2
            assert set(results([lambda model: torch.get_num_threads()] * 4, 2).values()) == {2}
            raise KeyError

    before = torch.get_num_threads()
    with pytest.raises(KeyError):
        fail()
    with intra_op_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_gradients_are_on_in_workers() -> None:
    def job(model: nn.Module) -> Tensor:
        x = torch.ones(2, requires_grad=True)
        return torch.autograd.grad((x**2).sum(), x)[0]

    with torch.no_grad():
        assert all(torch.equal(x, torch.full((2,), 2.0)) for x in results([job] * 3, 2).values())


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_whichever_is_first(workers: int) -> None:
    later = threading.Event()

    def first() -> str:
        if workers > 1:
            assert later.wait(20)
        return "first"

    def second() -> str:
        later.set()
        return "second"

    assert list(parallel_map([first, second], workers)) == ["first", "second"]


def test_what_a_call_raises_is_raised() -> None:
    calls = [lambda: 1, lambda: 1 // 0, lambda: 2]
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(calls, 2))
