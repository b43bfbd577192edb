"""Limits on the memory that reading data may take."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

from explaindebug.core.errors import DataError
from explaindebug.core.io import size_in_words

CGROUP = Path("/sys/fs/cgroup/memory.max")  # the limit of a container; "max" if there is none


class Room:
    """A budget of bytes shared by threads; a request for more than is left waits.

    A request for more than the total gets all of it, and so runs alone.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._left = total
        self._changed = Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Reserve `amount` bytes within the block."""
        amount = min(amount, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= amount)
            self._left -= amount
        try:
            yield
        finally:
            with self._changed:
                self._left += amount
                self._changed.notify_all()


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Check that this machine has `needed` bytes of memory in total.

    Raises:
        DataError: if it has not, with both numbers and the remedy.
    """
    total = memory()
    if needed > total:
        raise DataError(
            f"{what} would take {size_in_words(needed)} of memory, but this machine has "
            f"{size_in_words(total)} in total. {remedy}"
        )


def memory() -> int:
    """Bytes of memory of this machine, or of the container if that has a lower limit."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on Windows
        machine = 2**63
    try:
        return min(machine, int(CGROUP.read_text()))
    except (OSError, ValueError):
        return machine
