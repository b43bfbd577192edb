"""Entry point of the application: `python train.py`, or the command `explaindebug`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from explaindebug import __version__
from explaindebug.app.commands import (
    COMMANDS,
    DEMO,
    DEMO_STARTS,
    EXIT_ERROR,
    RUN,
    UNANSWERED,
    Command,
    completion,
    misspelt,
    overview,
)
from explaindebug.app.stopping import stops
from explaindebug.app.typed import freed


def main() -> None:
    """The command `explaindebug`: without arguments, or with `--help` alone, its help."""
    if sys.argv[1:] in ([], ["--help"], ["-h"]):
        print(overview())
    else:
        train()


def train() -> None:
    """Compose the configuration from the command line and run it; errors are printed as a sentence.

    In a sweep, the other jobs still run. With HYDRA_FULL_ERROR=1, errors have their traceback. If
    the first argument is one of `COMMANDS`, the others are that command's.

    Ctrl-C and SIGTERM end the run with status 130 and 143; the same command resumes it.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where the classes of one's own project are
    words = sys.argv[1:]
    if words and (command := COMMANDS.get(words[0])):
        sys.exit(_command(command, words[1:]))
    if "--version" in words:
        print(f"explaindebug {__version__}")
        return
    if words[:1] in ([], [DEMO]) and not any(word.startswith("-") for word in words):
        print(DEMO_STARTS, flush=True)
    if words[:1] in ([RUN], [DEMO]):
        del words[0]
    if wrong := misspelt(words):
        print(f"error: {wrong}", file=sys.stderr)
        sys.exit(UNANSWERED)  # a command that was meant may answer with the other statuses
    if "-sc" in words and "COMP_LINE" in os.environ and not _complete_commands():
        return
    sys.argv[1:] = freed(words)
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


def _complete_commands() -> bool:
    """Print the commands that complete what is typed; returns whether Hydra has to go on."""
    typed = os.environ["COMP_LINE"][: int(os.environ.get("COMP_POINT", sys.maxsize))]
    found = completion(typed)
    print(" ".join(found.names))
    if found.line is not None:
        os.environ.update(COMP_LINE=found.line, COMP_POINT=str(len(found.line)))
    return found.line is not None


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


def _command(command: Command, arguments: list[str]) -> int:
    """Run a command; returns its exit status."""
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    with stops() as signals:
        try:
            status = import_module(command.module).main(arguments)  # late, as torch takes seconds
            return status if isinstance(status, int) else 0
        except KeyboardInterrupt:
            return signals.status
        except Exception as error:
            _print_error(error, full)
            return command.failed


def _print_error(error: Exception, full: bool, *, composing: bool = False) -> None:
    """Print a user error; re-raise a bug of ours, or any error if its traceback is wanted."""
    from explaindebug.app.error_messages import sentence

    message = None if full else sentence(error, composing=composing)
    if message is None:
        raise error
    print(f"error: {message}", file=sys.stderr)
