"""Remove empty folders, as Hydra makes a run's folder before the command is checked."""

import os
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

SWEEP = "multirun.yaml"  # written by Hydra; useless if no job left anything


class Tidy(Callback):
    """A Hydra callback that removes empty folders which did not exist before."""

    def __init__(self) -> None:
        self._new: list[Path] = []  # topmost folders that this command makes
        self._before: set[Path] = set()  # existing folders below them

    def on_run_start(self, config: Any, **kwargs: Any) -> None:
        """Note which folders exist before a single run."""
        self._look(config, "hydra.run.dir")

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Note which folders exist before a sweep."""
        self._look(config, "hydra.sweep.dir")

    def on_run_end(self, config: Any, **kwargs: Any) -> None:
        """Remove new folders that are still empty."""
        self._remove()

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """Remove new folders that are still empty, and the sweep's if no job left anything."""
        self._remove()

    def _look(self, config: Any, key: str) -> None:
        for name in (OmegaConf.select(config, key), OmegaConf.select(config, "store")):
            if not isinstance(name, str) or not name:
                continue
            top = Path(name).absolute()
            while not top.parent.exists():
                top = top.parent
            self._new.append(top)
            self._before.update(_folders(top))

    def _remove(self) -> None:
        for top in self._new:
            for folder in _folders(top):  # the deepest first
                if folder in self._before:
                    continue
                if [path.name for path in folder.iterdir()] == [SWEEP]:
                    (folder / SWEEP).unlink()
                if not any(folder.iterdir()):
                    folder.rmdir()


def _folders(top: Path) -> list[Path]:
    return [Path(path) for path, _, _ in os.walk(top, topdown=False)]
