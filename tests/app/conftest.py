"""Run the command line in a temporary folder, on a few small pictures."""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from fake_run import no_figure_files
from small_runs import SMALL

from explaindebug.app.cli import main

Command = Callable[..., tuple[int, str, str]]
Run = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def _files_of_figures(request: Any) -> Iterator[None]:
    """Figures' files take a third of a small run, so only tests that are `drawn` write them.

    The figures in the page are drawn all the same; tests/report look at the files.
    """
    with nullcontext() if request.node.get_closest_marker("drawn") else no_figure_files():
        yield


@pytest.fixture
def command(tmp_path: Path, monkeypatch: Any, capsys: Any) -> Command:
    """Runs a command line in a temporary folder: (exit status, stdout, stderr)."""

    def typed(*line: str) -> tuple[int, str, str]:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [*line])
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        else:
            status = 0
        finally:
            # A process of its own would do this at its end; here the next test would go on in it.
            if "wandb" in sys.modules and sys.modules["wandb"].run is not None:
                sys.modules["wandb"].finish()
        said = capsys.readouterr()
        print(said.out, said.err)  # for a person who looks at a failure
        return int(status or 0), said.out, said.err

    return typed


@pytest.fixture
def run(tmp_path: Path, command: Command) -> Run:
    """Runs the application on a few small pictures: (exit status, stderr)."""

    def trained(*overrides: str, small: bool = True) -> tuple[int, str]:
        defaults = (*SMALL, f"store={tmp_path / 'store'}") if small else ()
        multirun = [x for x in overrides if x == "-m"]
        rest = [x for x in overrides if x != "-m"]
        status, _, error = command("train.py", *multirun, *defaults, *rest)
        return status, error

    return trained
