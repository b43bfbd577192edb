"""Signals that end a run as Ctrl-C does: with the checkpoints and scores so far."""

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
GRACE = 15.0  # s, after which a run that a signal was to end is ended in any case
HOW = "The same command with the same output=... goes on here."
INTERACTIVE = ("bash", "interactive")  # Slurm's jobs of these names are a person's, at a terminal


class Stops:
    """The signal that was received, if any, and what becomes of it."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.said = False
        self._process = os.getpid()
        self._limit = threading.Timer(GRACE, self._end)
        self._limit.daemon = True

    @property
    def status(self) -> int:
        """The exit status of a run that was stopped: 143 for SIGTERM, as a shell has it."""
        return INTERRUPTED if self.received is None else 128 + self.received

    def say(self) -> None:
        """Tell, once, how to go on."""
        if not self.said:
            self.said = True
            print(f"stopped. {HOW}", file=sys.stderr, flush=True)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler: an interrupt, whose way up is known to all; later signals don't disturb it.

        Threads that compute end at their own time, so there is a limit to the wait for them.
        """
        if os.getpid() != self._process:  # a fork, such as a loader's worker, has its own end
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self.received is None:
            self.received = number
            self._limit.start()
            raise KeyboardInterrupt

    def requeue(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal that a Slurm job's time is nearly over."""
        if os.getpid() == self._process and self.received is None:
            print(_requeued(os.environ), file=sys.stderr, flush=True)
        self.interrupt(number, frame)

    def close(self) -> None:
        """The run has ended."""
        self._limit.cancel()

    def _end(self) -> None:
        self.say()
        os._exit(self.status)


@contextmanager
def stops() -> Iterator[Stops]:
    """Inside, SIGTERM interrupts as Ctrl-C does.

    In a batch job of Slurm's, SIGUSR1 also puts the job into the queue again; that is the signal
    for which Lightning's users ask by `#SBATCH --signal=SIGUSR1@90`.
    """
    found = Stops()
    handlers: dict[int, Any] = {signal.SIGTERM: found.interrupt}
    if _is_batch_job(os.environ):
        handlers[signal.SIGUSR1] = found.requeue
    if threading.current_thread() is not threading.main_thread():
        handlers = {}  # Python lets no other thread have any
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
    """Puts the job into Slurm's queue again; what came of that, as a sentence."""
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
        return f"the time of Slurm job {job} is nearly over: it is in the queue again."
    return f"Slurm job {job} could not be put into the queue again ({problem})."
