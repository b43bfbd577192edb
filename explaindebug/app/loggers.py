"""Loggers of the application."""

import functools
import netrc
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlparse

from hydra.utils import instantiate

from explaindebug._lightning import pl
from explaindebug.app.progress import say
from explaindebug.app.settings import Settings
from explaindebug.core.errors import ConfigError

USERS_DATA_DIR = os.environ.get("WANDB_DATA_DIR")
TAG = 64  # characters that a tag of W&B has at most
Mode = Literal["online", "offline", "disabled"]


def started(
    nodes: Mapping[str, Any],
    folder: Path,
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
) -> list[Any]:
    """The loggers, for a run called `name`; one that can't be started is reported and left out.

    Each gets the run's `settings` as its hyperparameters, and the `tags` where it has some, so that
    runs can be filtered by them.
    """
    made: list[Any] = []
    for key, node in nodes.items():
        try:
            logger = guarded(instantiate(node, folder=str(folder), name=name))
            _describe(logger, settings or {}, tags)
            made.append(logger)
        except Exception as error:
            cause = error.__cause__ or error
            if isinstance(cause, ConfigError):
                raise
            say(f"the logger {key} can't be started, and the run goes on without it: {cause}")
    return made


def _describe(logger: Any, settings: Mapping[str, Any], tags: Sequence[str]) -> None:
    """What was run, where the logger has a place for it."""
    logger.log_hyperparams(dict(settings))
    run: Any = getattr(logger, "experiment", None)
    if tags and hasattr(run, "tags"):
        run.tags = tuple(dict.fromkeys([*(run.tags or ()), *tags]))


def tags_of(settings: Settings) -> list[str]:
    """What a run is found by: its tests, the network, the data, and the paper's table if any."""
    data = str(settings.data.get("_target_", "")).rpartition(".")[2]
    found = [*settings.bug, str(settings.model.get("name") or ""), data, settings.paper or ""]
    return [tag[:TAG] for tag in dict.fromkeys(found) if tag]


def wandb_logger(
    folder: str,
    name: str,
    project: str = "explaindebug",
    mode: Mode | None = None,
    group: str | None = None,
    tags: Sequence[str] | None = None,
) -> Any:
    """A W&B logger into `folder`; online only where the user is logged in or says so.

    Runs are grouped by the folder that theirs lies in, so that a sweep's are together, where no
    `group` is given.

    Raises:
        ConfigError: for an unknown mode, or an empty project or group.
    """
    for key, text in {"project": project, "group": group}.items():
        if text is not None and not str(text).strip():
            raise ConfigError(f"logger.wandb.{key} is empty. Give a name, or leave it out.")
    if mode is not None and mode not in get_args(Mode):
        raise ConfigError(f"logger.wandb.mode is {mode!r}, not one of online, offline, disabled.")
    # Pictures inside tables would else lie outside the run's folder, and be lost when it is moved.
    os.environ["WANDB_DATA_DIR"] = USERS_DATA_DIR or str(Path(folder).resolve() / "wandb")
    os.environ.setdefault("WANDB_SILENT", "true")
    chosen = mode or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    options: dict[str, Any] = {
        "dir": folder,
        "name": name,
        "project": project,
        "group": group or Path(folder).resolve().parent.name or None,
        "tags": list(tags or ()),
    }
    try:
        return _started(chosen, options)
    except Exception as error:
        if chosen != "online":
            raise
        warnings.warn(
            f"W&B can't be reached ({type(error).__name__}: {error}); this run is logged offline. "
            "Upload it later with the line at the end.",
            stacklevel=2,
        )
        return _started("offline", options)


def _started(mode: str, options: Mapping[str, Any]) -> Any:
    import wandb

    run = wandb.init(
        **options,
        mode=mode,  # type: ignore[arg-type]
        reinit="finish_previous",  # the jobs of a sweep share a process, but no run
        settings=wandb.Settings(console="off", init_timeout=30),
    )
    return pl.loggers.WandbLogger(experiment=run)


def tensorboard_logger(folder: str, name: str) -> Any:
    """A TensorBoard logger into `folder`.

    Raises:
        ConfigError: where tensorboard is not installed.
    """
    try:
        return pl.loggers.TensorBoardLogger(folder, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "logger=tensorboard needs: pip install explaindebug[tensorboard]"
        ) from error


def logged_in() -> bool:
    """Whether W&B has a key of this user, in the environment or in ~/.netrc; nothing is asked."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def guarded(logger: Any) -> Any:
    """The same logger, whose failures are told once and never cost the run."""
    told: list[str] = []

    def guard(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def quietly(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except Exception as error:
                if not told:
                    told.append(str(error))
                    name = type(logger).__name__
                    print(
                        f"{name} failed, and the run goes on without it: {error}", file=sys.stderr
                    )
                return None

        return quietly

    for name in ("log_metrics", "log_hyperparams", "log_graph", "save", "finalize"):
        setattr(logger, name, guard(getattr(logger, name)))
    return logger
