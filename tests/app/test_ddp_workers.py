"""Processes that train together: one network, one run, one sentence for an error."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from small_runs import SMALL
from team_work import Doer

from explaindebug.app.ddp_workers import Team
from explaindebug.core.errors import DataError, ExplainDebugError

Run = Callable[..., tuple[int, str]]
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "bug.reinit.twin=false")


def test_every_process_does_every_task_and_knows_which_it_is() -> None:
    with Team(2, Doer, threads=1) as team:
        assert team("LOCAL_RANK") == [(0, "0"), (1, "1")]
        assert team("WORLD_SIZE") == [(0, "2"), (1, "2")]
    assert [process.exitcode for process in team._processes] == [0, 0]


@pytest.mark.parametrize(
    ("task", "kind", "said"),
    [
        ("fail", DataError, "the second half is missing."),
        ("break", RuntimeError, "ZeroDivisionError: never"),
        ("die", ExplainDebugError, "ended by signal 9. Out of memory"),
    ],
)
def test_where_one_fails_all_are_ended_and_its_reason_is_told(
    task: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said), Team(2, Doer, threads=1) as team:
        team(task)
    assert not any(process.is_alive() for process in team._processes)


def epochs(trained: Path) -> dict[str, int]:
    found = [path.parent for path in trained.glob("*/done.json")]
    return {
        json.loads((folder / "recipe.json").read_text())["name"]: json.loads(
            (folder / "done.json").read_text()
        )["epochs"]
        for folder in found
    }


def command(*more: str) -> list[str]:
    script = Path(__file__).parents[2] / "train.py"
    few = (*SMALL, "bug=reinit", *TWO, "output=out", "store=store", *more)
    return [sys.executable, str(script), *few]


def running(group: int) -> list[str]:
    """States of the processes of a group, except zombies."""
    told = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, check=True)
    lines = [line.split() for line in told.stdout.decode().splitlines()]
    return [state for own, state in lines if int(own) == group and not state.startswith("Z")]


@pytest.mark.slow
def test_two_processes_leave_what_one_does_and_under_another_name(run: Run, tmp_path: Path) -> None:
    """Same files, no repeated output, and a network for each number of processes in the store."""
    assert run("bug=reinit", "bug.reinit.twin=false", "output=one", "store=store") == (0, "")
    typed = command("logger=tensorboard")
    done = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert [line for line in lines if lines.count(line) > 1] == []
    assert done.stderr == ""
    one, two = (
        {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")}
        for name in ("one", "out")
    )
    ours = {path for path in two if path.parts[0] != "tensorboard"}
    assert {path for path in one if path.parts[0] != "debug"} <= ours  # which loggers take
    recipes = [json.loads(path.read_text()) for path in tmp_path.glob("store/*/recipe.json")]
    assert sorted(recipe["training"].get("processes", 1) for recipe in recipes) == [1, 2]


@pytest.mark.slow
def test_an_interrupted_training_of_two_processes_goes_on(tmp_path: Path) -> None:
    """Ctrl-C ends all of them with one sentence; the same command resumes from the checkpoint."""
    long = command("trainer.max_epochs=10")
    with subprocess.Popen(
        long,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
    ) as cut:
        while not list(tmp_path.glob("store/*/last.ckpt")):
            assert cut.poll() is None
            time.sleep(0.1)
        os.killpg(cut.pid, signal.SIGINT)  # as a terminal does, to all
        said = cut.communicate(timeout=120)[1]
    assert cut.returncode == 130
    assert said.count("Interrupted.") == 1
    assert "Traceback" not in said
    deadline = time.monotonic() + 30
    while running(cut.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not running(cut.pid)  # nobody is left
    assert epochs(tmp_path / "store") == {}
    done = subprocess.run(long, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert epochs(tmp_path / "store") == {"clean": 10}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.strategy=ddp_fork", "Use one of auto, ddp"),
        ("+trainer.num_nodes=2", "must be on one machine"),
    ],
)
def test_what_can_not_train_together_is_told_before(run: Run, override: str, said: str) -> None:
    status, error = run("bug=reinit", *TWO, override, "output=out")
    assert status == 1
    assert said in error
