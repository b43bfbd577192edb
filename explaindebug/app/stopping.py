"""Signals that end a run as Ctrl-C does: checkpoints and scores so far are kept."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130
GRACE = 15.0  # s from a signal until the run is ended in any case
HOW = "Re-run the same command with the same output=... to resume."
INTERACTIVE = ("bash", "interactive")  # names of Slurm jobs that someone runs at a terminal


class Stops:
    """Handlers of signals, and the signal that was received, if any."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.said = False
        self._process = os.getpid()
        self._limit = threading.Timer(GRACE, self._end)
        self._limit.daemon = True

    @property
    def status(self) -> int:
        """The exit status of a stopped run, by the shell's convention: 143 for SIGTERM."""
        return INTERRUPTED if self.received is None else 128 + self.received

    def say(self) -> None:
        """Print, once, how to resume."""
        if not self.said:
            self.said = True
            print(f"Interrupted. {HOW}", file=sys.stderr, flush=True)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handler: raise KeyboardInterrupt for the first signal, and ignore later ones.

        Computing threads can't be interrupted, so the wait for them is limited.
        """
        if os.getpid() != self._process:  # a fork, such as a loader's worker: default handling
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self.received is None:
            self.received = number
            self._limit.start()
            raise KeyboardInterrupt

    def requeue(self, number: int, frame: FrameType | None) -> None:
        """Handler of the signal that a Slurm job is near its time limit."""
        if os.getpid() == self._process and self.received is None:
            print(_requeued(os.environ), file=sys.stderr, flush=True)
        self.interrupt(number, frame)

    def close(self) -> None:
        """Cancel the time limit, as the run has ended."""
        self._limit.cancel()

    def _end(self) -> None:
        self.say()
        os._exit(self.status)


@contextmanager
def stops() -> Iterator[Stops]:
    """Make SIGTERM interrupt the block as Ctrl-C does.

    In a Slurm batch job, SIGUSR1 does so too and requeues the job; it is the signal that users of
    Lightning request with `#SBATCH --signal=SIGUSR1@90`.
    """
    found = Stops()
    handlers: dict[int, Any] = {signal.SIGTERM: found.interrupt}
    if _is_batch_job(os.environ):
        handlers[signal.SIGUSR1] = found.requeue
    if threading.current_thread() is not threading.main_thread():
        handlers = {}  # Python allows handlers in the main thread only
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield found
    finally:
        found.close()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _is_batch_job(variables: Mapping[str, str]) -> bool:
    return (
        "SLURM_JOB_ID" in variables
        and "SUBMITIT_EXECUTOR" not in variables  # which handles signals itself
        and variables.get("SLURM_JOB_NAME") not in INTERACTIVE
    )


def _requeued(variables: Mapping[str, str]) -> str:
    """Requeue the Slurm job; returns the outcome as a sentence."""
    job = variables["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in variables:
        job = f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
    line = ["scontrol", "requeue", job]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
        problem = done.stderr.strip() if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem is None:
        return f"Slurm job {job} is near its time limit and was requeued."
    return f"Slurm job {job} could not be requeued ({problem})."
