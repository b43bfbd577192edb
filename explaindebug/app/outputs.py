"""Where a run puts what it makes on its way: loggers, and files in its folder."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from explaindebug.app.loggers import started, tags_of
from explaindebug.app.settings import Settings
from explaindebug.app.store import Trained
from explaindebug.callbacks.sinks import Sinks
from explaindebug.core.io import link_or_copy, write_json
from explaindebug.evaluation.results import TestResult


@dataclass
class Outputs:
    """The loggers of a run, none before they are started, and its folder."""

    settings: Settings
    folder: Path
    loggers: Sequence[Any] = ()
    _failed: set[str] = field(default_factory=set)  # loggers that failed, each said once

    def start(self, name: str) -> None:
        """Start the loggers of a run that is called `name`; they are told its settings."""
        s = self.settings
        tags = tags_of(s)
        self.loggers = started(s.logger, self.folder, name, settings=asdict(s), tags=tags)

    def maps(self, result: TestResult, methods: Sequence[str]) -> None:
        """Maps to the loggers, or as files where none takes pictures."""
        sinks = Sinks(self.loggers, self.folder, self._failed)
        for gallery in result.galleries:
            sinks.maps(result.name, gallery, methods)
        for logger in self.loggers:  # what is logged by now is not lost
            logger.save()
            logger.finalize("success")

    def record(self, network: str, record: Sequence[dict[str, Any]]) -> None:
        """Write down what a network's bug changed: which rows, and their right labels."""
        write_json(self.folder / "records" / f"{network}.json", record)

    def checkpoint(self, network: str, done: Trained) -> None:
        """A trained network into the run's folder, so that everything of a run is there."""
        assert done.checkpoint is not None
        name = f"{network.replace(' ', '-')}.ckpt"
        link_or_copy(done.checkpoint, self.folder / "checkpoints" / name)

    def upload_lines(self) -> list[str]:
        """How to upload what was logged offline."""
        runs = sorted((self.folder / "wandb").glob("offline-run-*"))
        return [shlex.join(["wandb", "sync", str(run)]) for run in runs]
