"""Errors as one sentence on the console: what is wrong, and what to do."""

import errno
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from explaindebug.core.io import size_in_words
from explaindebug.core.registry import nearest

FULL = (errno.ENOSPC, errno.EDQUOT)
CONFIG_ROOT = "pkg://explaindebug.configs"


def sentence(error: BaseException, *, composing: bool = False) -> str | None:
    """The message for an error that the user can fix; None for a bug of ours.

    `composing`: nothing has run so far but Hydra's composition of the command line.
    """
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    from explaindebug.core.errors import ExplainDebugError

    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return sentence(error.__cause__) or " ".join(str(error).split())
    if isinstance(error, ExplainDebugError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return _file(error)
    if isinstance(error, OSError) and error.errno in FULL:
        return _full_disk(error)
    if isinstance(error, HydraException):
        return _hydra(error)
    if isinstance(error, OmegaConfBaseException):
        return _omegaconf(error)
    if composing and isinstance(error, ValueError | TypeError):
        return (
            f"invalid command line ({error}). A group takes the name of a choice (bug=labels) or "
            "a list of names, not null or a number; ~logger omits the group."
        )
    return None


def _full_disk(error: OSError) -> str:
    """For a full disk without a file name: the space left in the places that a run writes to."""
    places = dict.fromkeys(map(Path, (".", tempfile.gettempdir())))
    left = ", ".join(
        f"{place.resolve()} has {size_in_words(shutil.disk_usage(place).free)} left"
        for place in places
    )
    return (
        f"a disk is full ({error.strerror}): {left}. Free some space, or choose folders on another "
        "disk with output=..., store=... and, for temporary files, the environment variable "
        "TMPDIR. Re-run the same command to resume."
    )


def _file(error: OSError) -> str:
    where = "output=... (or store=..., if it is in the store)"
    if error.errno in FULL:
        return (
            f"{error.filename} can't be written: the disk is full ({error.strerror}). Free some "
            f"space, or choose a folder on another disk with {where}. Re-run the same command to "
            "resume."
        )
    return (
        f"{error.filename} can't be used ({error.strerror}). If it is the output folder or in it, "
        f"choose another one with {where}."
    )


def _hydra(error: Any) -> str:
    text = str(error)
    cause = str(error.__cause__) if error.__cause__ else ""
    option = re.search(r"Could not find '([^']+)'", text) or re.search(
        r"Could not override '([^']+)'.*No match", text, re.S
    )
    if option:
        return _unknown_option(option[1])
    key = re.search(r"Could not override '([^']+)'", text)
    if key:
        return _unknown_key(key[1], cause)
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _unknown_option(name: str) -> str:
    group, _, option = name.rpartition("/")
    if name.startswith("model/") and not nearest(option, _group_options("model")):
        return (
            f"unknown choice {name.replace('/', '=', 1)}. Networks of torchvision and timm are "
            f"chosen by name: model=torchvision model.name={name.removeprefix('model/')}. "
            f"Known: {', '.join(_group_options('model'))}."
        )
    known = _group_options(group) if group else []
    if not known:
        groups = _groups()
        return f"unknown config group {name!r}.{nearest(name, groups)} Known: {', '.join(groups)}."
    return f"unknown choice {group}={option}.{nearest(option, known)} Known: {', '.join(known)}."


def _unknown_key(key: str, cause: str) -> str:
    if "could not be converted" in cause or ("type" in cause.lower() and "Key" not in cause):
        return f"{key}: {cause.splitlines()[0]}."
    known = list(_keys(_composed()))
    if key in known:
        return (
            f"{key} is a key of the default {key.partition('.')[0]}, which is not the chosen one. "
            f"If that takes it, write +{key}=..."
        )
    short = key.rpartition(".")[2]
    close = nearest(key, known) or nearest(short, [k.rpartition(".")[2] for k in known])
    return f"unknown key {key!r}.{close} `--help` lists all keys."


def _omegaconf(error: Any) -> str:
    key = getattr(error, "full_key", None)
    message = str(getattr(error, "msg", None) or error).splitlines()[0]
    if "Missing mandatory value" in message and key:
        return f"{key} is required: add {key}=... to the command."
    return f"{key}: {message}." if key and key not in message else f"{message}."


def _groups() -> list[str]:
    from hydra._internal.config_repository import ConfigRepository
    from hydra.core.object_type import ObjectType

    found: list[str] = _repository(ConfigRepository).get_group_options("", ObjectType.GROUP)
    return found


def _group_options(group: str) -> list[str]:
    from hydra._internal.config_repository import ConfigRepository
    from hydra.core.object_type import ObjectType

    found: list[str] = _repository(ConfigRepository).get_group_options(group, ObjectType.CONFIG)
    return found


def _repository(kind: Any) -> Any:
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

    path = ConfigSearchPathImpl()
    path.append("main", CONFIG_ROOT)
    return kind(path)


def _composed() -> Any:
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        return OmegaConf.to_container(compose("train"), resolve=False)


def _keys(node: Any, prefix: str = "") -> Any:
    for key, value in node.items():
        name = f"{prefix}{key}"
        yield name
        if isinstance(value, dict):
            yield from _keys(value, f"{name}.")
