"""Work for a team of processes, in a module that they can import."""

import os
import signal
import time

from explaindebug.core.errors import DataError


class Doer:
    """Does in each process what a task says."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def __call__(self, task: str) -> tuple[int, str]:
        if task == "fail" and self.rank == 1:
            raise DataError("the second half is missing.")
        if task == "break" and self.rank == 1:
            raise ZeroDivisionError("never")
        if task == "die" and self.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if task in ("fail", "break", "die"):
            time.sleep(600)  # as a process does that waits for the one that failed
        return self.rank, os.environ.get(task, "")
