"""Entry point of the application: `python train.py`, or the command `explaindebug`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from explaindebug import __version__
from explaindebug.app.stopping import stops
from explaindebug.app.typed import freed

EXIT_ERROR = 1
UNANSWERED = 3  # errors of commands whose other statuses are answers
# Command -> the module whose `main` takes its arguments, and the exit status of errors.
COMMANDS = {
    "check": ("explaindebug.app.check", UNANSWERED),
    "compare": ("explaindebug.app.compare", EXIT_ERROR),
    "compare-models": ("explaindebug.app.compare_models", UNANSWERED),
    "discover": ("explaindebug.app.discover", UNANSWERED),
}


def main() -> None:
    """Compose the configuration from the command line and run it; errors are printed as a sentence.

    In a sweep, the other jobs still run. With HYDRA_FULL_ERROR=1, errors have their traceback. If
    the first argument is one of `COMMANDS`, the others are that command's.

    Ctrl-C and SIGTERM end the run with status 130 and 143; the same command resumes it.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where the classes of one's own project are
    if sys.argv[1:] and (command := COMMANDS.get(sys.argv[1])):
        sys.exit(_command(*command, sys.argv[2:]))
    if "--version" in sys.argv[1:]:
        print(f"explaindebug {__version__}")
        return
    sys.argv[1:] = freed(sys.argv[1:])
    with stops() as signals:
        try:
            failed = _run()
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning calls `exit(1)` when training is interrupted; pass on any other exit.
            if signals.received is None and isinstance(stop, SystemExit) and stop.code != 1:
                raise
            signals.say()
            sys.exit(signals.status)
    if failed:
        sys.exit(EXIT_ERROR)


def _run() -> bool:
    """Run Hydra; returns whether something failed, with the error already printed."""
    import hydra

    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    failed = begun = False
    here, typed, path = os.getpid(), list(sys.argv), list(sys.path)

    def job(config: Any) -> None:
        nonlocal begun, failed
        begun = True
        elsewhere = os.getpid() != here  # a Hydra launcher runs jobs in other processes
        if elsewhere:
            sys.argv[:] = typed
            sys.path += [place for place in path if place not in sys.path]
        # Imported late, as torch takes seconds and `--help` does not need it.
        try:
            from explaindebug.app.early import check_names

            check_names(config)
            from hydra.core.hydra_config import HydraConfig

            from explaindebug.app.experiments import start
            from explaindebug.app.own_targets import own_keys

            start(own_keys(config, HydraConfig.get().overrides.task))
        except Exception as error:
            _print_error(error, full)
            failed = True
            if elsewhere:
                raise  # `failed` is not shared between processes

    try:
        with _errors_from_hydra():
            hydra.main("pkg://explaindebug.configs", "train", version_base="1.3")(job)()
    except BrokenPipeError:  # the reader, such as `| head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        _print_error(error, full, composing=not begun)
        failed = True
    return failed


@contextmanager
def _errors_from_hydra() -> Iterator[None]:
    """Make Hydra raise errors inside the block, instead of printing them."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _command(module: str, failed: int, arguments: list[str]) -> int:
    """Run a command; returns its exit status, `failed` for errors."""
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    with stops() as signals:
        try:
            status = import_module(module).main(arguments)  # late, as torch takes seconds
            return status if isinstance(status, int) else 0
        except KeyboardInterrupt:
            return signals.status
        except Exception as error:
            _print_error(error, full)
            return failed


def _print_error(error: Exception, full: bool, *, composing: bool = False) -> None:
    """Print a user error; re-raise a bug of ours, or any error if its traceback is wanted."""
    from explaindebug.app.error_messages import sentence

    message = None if full else sentence(error, composing=composing)
    if message is None:
        raise error
    print(f"error: {message}", file=sys.stderr)
