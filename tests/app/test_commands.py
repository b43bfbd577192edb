"""The command `explaindebug`: its help, its commands, completion, and what starts a run."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import explaindebug
from explaindebug.app import cli
from explaindebug.app.commands import APPLICATION, COMMANDS, DEMO_STARTS, misspelt

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
ALL = [*APPLICATION, *COMMANDS]


@pytest.fixture
def started(monkeypatch: Any) -> list[list[str]]:
    """Command lines with which Hydra was started; nothing is run."""
    lines: list[list[str]] = []

    def run() -> bool:
        lines.append(sys.argv[1:])
        return False

    monkeypatch.setattr(cli, "_run", run)
    return lines


@pytest.mark.parametrize("typed", [[], ["--help"], ["-h"]])
def test_the_help_has_a_line_for_each_command(
    command: Command, started: list[list[str]], typed: list[str]
) -> None:
    status, out, error = command("explaindebug", *typed)
    assert (status, error, started) == (0, "", [])
    lines = re.findall(r"^  ([a-z-]+) {2,}\S.*$", out, flags=re.M)
    assert [name for name in lines if name in ALL] == ALL
    assert max(map(len, out.splitlines())) <= 80


def test_the_help_and_the_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from explaindebug.app.cli import main; main();"
        "print({'torch', 'hydra', 'rich', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    for word in ("--help", "--version"):
        run = [sys.executable, "-c", code, word]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "set()"
        assert explaindebug.__version__ in done.stdout or word == "--help"


def test_every_command_has_a_module_with_a_main() -> None:
    assert all(find_spec(command.module) for command in COMMANDS.values())
    assert callable(import_module(COMMANDS["check"].module).main)


def test_the_installed_command_is_the_one_with_the_help() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"explaindebug": "explaindebug.app.cli:main"}


@pytest.mark.parametrize("first", [[], ["run"], ["demo"]])
def test_settings_start_a_run_with_and_without_its_name(
    command: Command, started: list[list[str]], first: list[str]
) -> None:
    assert command("explaindebug", *first, "bug=spurious", "seed=1")[0] == 0
    assert started == [["bug=spurious", "seed=1"]]


@pytest.mark.parametrize("typed", [["-m", "seed=1,2"], ["--cfg", "job"], ["~logger"], ["+a=1"]])
def test_options_of_hydra_start_a_run(
    command: Command, started: list[list[str]], typed: list[str]
) -> None:
    assert command("explaindebug", *typed)[:2] == (0, "")
    assert started == [typed]


def test_the_demo_and_the_script_without_arguments_say_what_they_will_do(
    command: Command, started: list[list[str]], monkeypatch: Any, capsys: Any
) -> None:
    assert command("explaindebug", "run")[1] == ""
    capsys.readouterr()
    assert command("explaindebug", "demo")[1].strip() == DEMO_STARTS.strip()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["train.py"])
    cli.train()
    assert capsys.readouterr().out.strip() == DEMO_STARTS.strip()
    assert started == [[], [], []]


def test_a_misspelt_command_is_no_setting(command: Command, started: list[list[str]]) -> None:
    status, out, error = command("explaindebug", "chek", "model.ckpt")
    assert (status, out, started) == (3, "", [])  # 1 and 2 would be answers of `check`
    assert "'check'" in error
    assert len(error.splitlines()) == 1
    assert misspelt(["bug=labels"]) is None


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("explaindebug c", {"check", "compare", "compare-models"}),
        ("explaindebug bug=l", {"bug=labels"}),
        ("explaindebug run bug=l", {"bug=labels"}),
        ("explaindebug check bug=l", set()),
    ],
)
def test_tab_completes_commands_settings_and_values(line: str, some: set[str]) -> None:
    code = "from explaindebug.app.cli import main; main()"
    environment = os.environ | {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    run = [sys.executable, "-c", code, "-sc", "query=bash"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    offered = {name for name in done.stdout.split() if not name.startswith("c") or name in ALL}
    assert offered == some, done.stderr
