"""Whose an output folder is: a new run's, or that of the same run, cut before."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from explaindebug import __version__
from explaindebug.app.given import Given
from explaindebug.app.locks import RUNNING
from explaindebug.app.settings import Settings
from explaindebug.core.errors import ConfigError
from explaindebug.core.io import WRITING, as_json, remove_abandoned, remove_parts, writable_folder
from explaindebug.core.wording import listed
from explaindebug.evaluation.runs import flat

# Options that runs of earlier versions did not have; unset they change nothing.
UNSET = ("train_command", "trainer", "wrong")
NOTE = "run.json"  # what makes a folder a run's


def claim(folder: Path, checked: Settings) -> Path:
    """The output folder, where it may be ours: new, or that of the same run, cut before.

    What that one left half-written is removed.

    Raises:
        ConfigError: where it can't be written, or holds something else.
    """
    found = folder / NOTE
    if found.is_file():
        before = read_note(found)
        if others := _others(before.get("settings") or {}, note(checked, "")["settings"]):
            raise ConfigError(
                f"{folder} holds another run ({before.get('command', 'command unknown')}), of "
                f"other settings: {listed(others, 6)}. Give this one a folder of its own with "
                "output=..., or remove that one."
            )
    elif folder.is_dir() and not _fresh(folder):
        raise ConfigError(
            f"{folder} is not empty and holds no run of explaindebug, so nothing is written into "
            "it. Give an empty or a new folder with output=..."
        )
    remove_parts(writable_folder(folder))
    return folder


def _fresh(folder: Path) -> bool:
    """Whether there is nothing in the folder but what a run has before its note is written."""
    remove_abandoned(folder, prefix=f".{NOTE}.", suffix=WRITING)
    return all(path.name == RUNNING for path in folder.iterdir())


def _others(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings in which two runs are not the same."""
    old, new = dict(flat(before)), dict(flat(as_json(now)))
    absent = object()
    return [key for key in {**new, **old} if old.get(key, absent) != new.get(key, absent)]


def read_note(path: Path) -> dict[str, Any]:
    """What a run wrote of itself; nothing where the file is no such note."""
    try:
        found = json.loads(path.read_text())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def note(checked: Settings, typed: str) -> dict[str, Any]:
    """What makes the folder this run's; written when all is checked, so that typos leave none."""
    identity = asdict(checked) | {"output": None, "store": None, "logger": None, "workers": None}
    paper = identity.pop("paper")  # what a run is put beside changes nothing of it
    for node in (identity["model"], identity["foreign_model"], *identity["bug"].values()):
        for key in UNSET if node else ():
            if node.get(key) is None:
                node.pop(key, None)
    given = Given.of(identity.pop("networks"))
    if given is not None:
        identity["networks"] = given.identity
    return {"version": __version__, "command": typed, "paper": paper, "settings": identity}
