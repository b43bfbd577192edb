"""Signals that end a run as Ctrl-C does: at once, and with the right exit status."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import SMALL
from torch import nn

from explaindebug._lightning import pl
from explaindebug.app.classifier import Classifier
from explaindebug.app.stopping import stops
from explaindebug.app.training import trainer
from explaindebug.datamodules import Embedded

SCRIPT = Path(__file__).parents[2] / "train.py"


class Send(pl.Callback):
    """Sends this process a signal in a training's second epoch, or in a test."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.epochs = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs += 1
        if self.epochs == 2:
            os.kill(os.getpid(), self.number)

    def on_test_batch_start(self, *_: Any) -> None:
        os.kill(os.getpid(), self.number)


def fit(*, callback: pl.Callback) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 1))
    options: Any = {"max_epochs": 3, "logger": False, "enable_checkpointing": False}
    runner = trainer(**options, enable_progress_bar=False, callbacks=[callback])
    runner.fit(Classifier(network), Embedded(size=28, train=8, val=8, test=8, batch_size=8))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_is_interrupted_at_once(number: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sends = Send(number)
    with stops() as signals, pytest.raises(SystemExit):
        fit(callback=sends)
    assert sends.epochs == 2
    assert signals.status == 128 + number
    assert signal.getsignal(signal.SIGTERM) == before


def test_jobs_of_a_launcher_that_handles_signals_go_on() -> None:
    """Like submitit's: SIGTERM is ignored, and another signal requeues the job."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        sends = Send(signal.SIGTERM)
        fit(callback=sends)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
    assert sends.epochs == 3


def test_a_second_signal_does_not_disturb_the_end() -> None:
    with stops() as signals:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.status == 143


@pytest.mark.parametrize("status", [0, 1, None])
@pytest.mark.parametrize("array", [{}, {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}])
def test_a_slurm_job_whose_time_is_over_is_put_into_the_queue_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int | None,
    array: dict[str, str],
) -> None:
    if status is not None:
        scontrol = tmp_path / "scontrol"
        scontrol.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit {status}\n')
        scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if status is not None else str(tmp_path))
    for name, value in {"SLURM_JOB_ID": "9", "SLURM_JOB_NAME": "train", **array}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SUBMITIT_EXECUTOR", raising=False)
    with stops() as signals, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGUSR1)
    job = "7_2" if array else "9"
    said = capsys.readouterr().err
    assert f"job {job}" in said
    assert ("was requeued" in said) == (status == 0)
    assert signals.status == 128 + signal.SIGUSR1
    if status is not None:
        assert (tmp_path / "asked").read_text() == f"requeue {job}\n"


@pytest.mark.parametrize(
    "variables", [{}, {"SLURM_JOB_NAME": "bash"}, {"SUBMITIT_EXECUTOR": "slurm"}]
)
def test_elsewhere_that_signal_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv("SLURM_JOB_ID", "9")
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGUSR1)
    with stops():
        assert signal.getsignal(signal.SIGUSR1) == before


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["training", "measuring"])
def test_a_run_ends_with_a_sentence_and_what_it_has(tmp_path: Path, stage: str) -> None:
    """A real process: status 143 within seconds, and its checkpoint or scores are there."""
    long = "trainer.max_epochs=2000" if stage == "training" else "bug.reinit.layers=8"
    slow = ("probe=40", "attributions=[{lime:{samples:2000}}]") if stage == "measuring" else ()
    few = (*SMALL, "bug=reinit", "bug.reinit.twin=false", "output=out", "store=store", long, *slow)
    awaited = "store/*/last.ckpt" if stage == "training" else "out/checkpoints/clean.ckpt"
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), *few], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(tmp_path.glob(awaited)):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1 if stage == "measuring" else 0)
        start = time.monotonic()
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert time.monotonic() - start < 30  # seconds, on a machine that does other things too
    assert said.startswith("Interrupted. Re-run the same command with the same output=")
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "report.html").exists()
    if stage == "training":
        (last,) = tmp_path.glob("store/*/last.ckpt")
        assert torch.load(last, weights_only=True)["epoch"] >= 0
