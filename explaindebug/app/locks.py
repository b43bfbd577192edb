"""Locks between runs, released when the process that holds them ends, even if it is killed."""

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
    """Hold the lock file `path` inside the block.

    If another process holds it, `busy` is called first; it may print that we wait, or raise. If the
    file system does not support locks, a line says so, and the block is entered without a lock.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        busy()
        lock.acquire()
    except (NotImplementedError, OSError) as error:
        say(
            f"  no file locks in {path.parent} ({error}): make sure that no other run uses it at "
            "the same time"
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder inside the block.

    Raises:
        ConfigError: if another run is writing into it, or the folder can't be written.
    """

    def refuse() -> None:
        raise ConfigError(
            f"another run is writing into {folder} at the moment. Choose another folder with "
            "output=..., or wait until that run has ended."
        )

    path = writable_folder(folder) / RUNNING
    with locked(path, refuse):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
