"""Locks between runs: they go with the process that holds them, however that ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from explaindebug.app.progress import say
from explaindebug.core.errors import ConfigError
from explaindebug.core.io import writable_folder

RUNNING = ".running"  # the lock of a run's folder


@contextmanager
def locked(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Inside, no other process holds the lock file `path`.

    Where one does, `busy` is called, which says that we wait, or raises. Where the file system has
    no locks, that is said, and the block is entered all the same.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        busy()
        lock.acquire()
    except (NotImplementedError, OSError) as error:
        say(f"  {path.parent} has no locks ({error}): let no other run use it at the same time")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside, no other run writes into the folder.

    Raises:
        ConfigError: where one does at the moment, or the folder can't be written.
    """

    def refuse() -> None:
        raise ConfigError(
            f"another run is writing into {folder} at the moment. Give this one a folder of its "
            "own with output=..., or start it again when that one has ended."
        )

    path = writable_folder(folder) / RUNNING
    with locked(path, refuse):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
