"""Loggers of the application."""

import functools
import netrc
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlparse

from hydra.utils import instantiate

from explaindebug._lightning import pl
from explaindebug.app.progress import say
from explaindebug.errors import ConfigError

USERS_DATA_DIR = os.environ.get("WANDB_DATA_DIR")
Mode = Literal["online", "offline", "disabled"]


def started(nodes: Mapping[str, Any], folder: Path, name: str) -> list[Any]:
    """The loggers, for a run called `name`; one that can't be started is told of and left out."""
    made: list[Any] = []
    for key, node in nodes.items():
        try:
            made.append(guarded(instantiate(node, folder=str(folder), name=name)))
        except Exception as error:
            cause = error.__cause__ or error
            if isinstance(cause, ConfigError):
                raise
            say(f"the logger {key} can't be started, and the run goes on without it: {cause}")
    return made


def wandb_logger(
    folder: str, name: str, project: str = "explaindebug", mode: Mode | None = None
) -> Any:
    """A W&B logger into `folder`; online only where the user is logged in or says so.

    Raises:
        ConfigError: for an unknown mode.
    """
    if mode is not None and mode not in get_args(Mode):
        raise ConfigError(f"logger.wandb.mode is {mode!r}, not one of online, offline, disabled.")
    # Pictures inside tables would else lie outside the run's folder, and be lost when it is moved.
    os.environ["WANDB_DATA_DIR"] = USERS_DATA_DIR or str(Path(folder).resolve() / "wandb")
    os.environ.setdefault("WANDB_SILENT", "true")
    chosen = mode or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    try:
        return _started(folder, name, project, chosen)
    except Exception as error:
        if chosen != "online":
            raise
        warnings.warn(
            f"W&B can't be reached ({type(error).__name__}: {error}); this run is logged offline. "
            "Upload it later with the line at the end.",
            stacklevel=2,
        )
        return _started(folder, name, project, "offline")


def _started(folder: str, name: str, project: str, mode: str) -> Any:
    import wandb

    run = wandb.init(
        project=project,
        name=name,
        dir=folder,
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
