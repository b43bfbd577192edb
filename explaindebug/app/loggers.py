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
TAG = 64  # maximum length of a W&B tag
Mode = Literal["online", "offline", "disabled"]


def started(
    nodes: Mapping[str, Any],
    folder: Path,
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
) -> list[Any]:
    """Start the loggers of a run called `name`; one that fails to start is reported and omitted.

    Each gets the run's `settings` as hyperparameters, and the `tags` if it supports tags, so that
    runs can be filtered by them.

    Raises:
        ConfigError: for invalid options of a logger.
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
            say(f"could not start logger {key}; continuing without it: {cause}")
    return made


def _describe(logger: Any, settings: Mapping[str, Any], tags: Sequence[str]) -> None:
    """Log the run's settings and, where supported, its tags."""
    logger.log_hyperparams(dict(settings))
    run: Any = getattr(logger, "experiment", None)
    if tags and hasattr(run, "tags"):
        run.tags = tuple(dict.fromkeys([*(run.tags or ()), *tags]))


def tags_of(settings: Settings) -> list[str]:
    """Tags of a run: its tests, the network, the data, and the paper's table if any."""
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
    """A W&B logger that writes into `folder`; online only if the user is logged in or asks for it.

    Without a `group`, runs are grouped by the parent of their folder, so that the runs of a sweep
    are together.

    Raises:
        ConfigError: for an unknown mode, or an empty project or group.
    """
    for key, text in {"project": project, "group": group}.items():
        if text is not None and not str(text).strip():
            raise ConfigError(f"logger.wandb.{key} is empty. Give a name, or omit it.")
    if mode is not None and mode not in get_args(Mode):
        raise ConfigError(f"logger.wandb.mode must be online, offline or disabled, got {mode!r}.")
    # Otherwise pictures in tables are stored outside the run's folder, and lost when it is moved.
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
            f"W&B can't be reached ({type(error).__name__}: {error}); logging this run offline. "
            "Upload it later with the command printed at the end.",
            stacklevel=2,
        )
        return _started("offline", options)


def _started(mode: str, options: Mapping[str, Any]) -> Any:
    import wandb

    run = wandb.init(
        **options,
        mode=mode,  # type: ignore[arg-type]
        reinit="finish_previous",  # jobs of a sweep share a process, but not a W&B run
        settings=wandb.Settings(console="off", init_timeout=30),
    )
    return pl.loggers.WandbLogger(experiment=run)


def tensorboard_logger(folder: str, name: str) -> Any:
    """A TensorBoard logger that writes into `folder`.

    Raises:
        ConfigError: if tensorboard is not installed.
    """
    try:
        return pl.loggers.TensorBoardLogger(folder, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "logger=tensorboard needs: pip install explaindebug[tensorboard]"
        ) from error


def logged_in() -> bool:
    """Whether the environment or ~/.netrc has a W&B key; the user is not prompted."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def guarded(logger: Any) -> Any:
    """The same logger, whose first failure is printed and whose failures never end the run."""
    reported: list[str] = []

    def guard(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def quietly(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except Exception as error:
                if not reported:
                    reported.append(str(error))
                    name = type(logger).__name__
                    print(f"{name} failed; continuing without it: {error}", file=sys.stderr)
                return None

        return quietly

    for name in ("log_metrics", "log_hyperparams", "log_graph", "save", "finalize"):
        setattr(logger, name, guard(getattr(logger, name)))
    return logger
