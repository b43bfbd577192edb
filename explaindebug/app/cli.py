"""The application: `python train.py`, or `explaindebug` where the wheel is installed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from explaindebug import __version__
from explaindebug.app.stopping import stops
from explaindebug.app.typed import freed

EXIT_ERROR = 1


def main() -> None:
    """Compose the configuration from the command line and run it; ends in one sentence on errors.

    In a sweep the other jobs go on. With HYDRA_FULL_ERROR=1 errors come with their traceback. Where
    the first argument is `compare`, the others are finished runs (see `explaindebug.app.compare`).

    Ctrl-C and SIGTERM end it with status 130 and 143; it goes on when it is started again.
    """
    if sys.argv[1:2] == ["compare"]:
        _compare(sys.argv[2:])
        return
    if "--version" in sys.argv[1:]:
        print(f"explaindebug {__version__}")
        return
    sys.argv[1:] = freed(sys.argv[1:])
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where the classes of one's own project are
    with stops() as signals:
        try:
            failed = _run()
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning ends a training that is interrupted by `exit(1)`; other exits are not ours.
            if signals.received is None and isinstance(stop, SystemExit) and stop.code != 1:
                raise
            signals.say()
            sys.exit(signals.status)
    if failed:
        sys.exit(EXIT_ERROR)


def _run() -> bool:
    """Whether something failed, which is said by then."""
    import hydra

    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    failed = begun = False
    here, typed, path = os.getpid(), list(sys.argv), list(sys.path)

    def job(config: Any) -> None:
        nonlocal begun, failed
        begun = True
        elsewhere = os.getpid() != here  # a launcher of Hydra's has put it into another process
        if elsewhere:
            sys.argv[:] = typed
            sys.path += [place for place in path if place not in sys.path]
        # Imported late: torch takes seconds, and `--help` needs none of it.
        try:
            from explaindebug.app.early import check_names

            check_names(config)
            from hydra.core.hydra_config import HydraConfig

            from explaindebug.app.experiments import start
            from explaindebug.app.own_targets import own_keys

            start(own_keys(config, HydraConfig.get().overrides.task))
        except Exception as error:
            _complain(error, full)
            failed = True
            if elsewhere:
                raise  # what is set here is not seen there

    try:
        with _errors_from_hydra():
            hydra.main("pkg://explaindebug.configs", "train", version_base="1.3")(job)()
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        _complain(error, full, composing=not begun)
        failed = True
    return failed


@contextmanager
def _errors_from_hydra() -> Iterator[None]:
    """Inside, Hydra hands errors on instead of printing them."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _compare(arguments: list[str]) -> None:
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        from explaindebug.app.compare import main as compare  # late, as torch takes seconds

        compare(arguments)
    except Exception as error:
        _complain(error, full)
        sys.exit(EXIT_ERROR)


def _complain(error: Exception, full: bool, *, composing: bool = False) -> None:
    """Print what is wrong; raise it again where it is ours, or its traceback is asked for."""
    from explaindebug.app.error_messages import sentence

    said = None if full else sentence(error, composing=composing)
    if said is None:
        raise error
    print(f"error: {said}", file=sys.stderr)
