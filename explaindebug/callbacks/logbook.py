"""Log a measurement: means and seconds first, then maps and tables."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from explaindebug._lightning import pl
from explaindebug.attributions._engine.plan import Plan
from explaindebug.callbacks.keys import distinct, log_key
from explaindebug.callbacks.ranks import together
from explaindebug.callbacks.sinks import Sinks
from explaindebug.evaluation.results import Gallery
from explaindebug.evaluation.roles import BUG, NULL
from explaindebug.evaluation.scores import Key, Scores


class Found(Protocol):
    """A callback's results, and how to log them, see `AttributionCallback`."""

    test: str
    better: ClassVar[str]
    network: str
    scores: Scores
    seconds: float
    log_scores: bool
    folder: str | Path | None

    @property
    def plan(self) -> Plan:
        """The methods that were computed."""

    def key(self, test: str, *parts: str) -> str:
        """The key under which part of a test is logged."""

    def log_more(self, trainer: pl.Trainer, sinks: Sinks) -> None:
        """Send more than means and maps; called on the first process only."""


class Logbook:
    """Logs measurements, and remembers what has to be sent to the loggers only once."""

    def __init__(self) -> None:
        self._defined: set[str] = set()  # keys whose direction the loggers know
        self._failed: set[str] = set()  # loggers that failed; each is reported once

    def log(
        self, trainer: pl.Trainer, module: pl.LightningModule, found: Found
    ) -> dict[str, float]:
        """Log means and seconds, under the same keys on every process; returns means by key."""
        means = means_of(found.scores)
        names = distinct(means, lambda key: _named(key, found.key))
        cost = log_key("debug", found.test, "seconds")
        if trainer.is_global_zero and found.log_scores:
            bug = [names[key] for key in means if key.test == found.test and key.role == BUG]
            self._define(trainer, dict.fromkeys(bug, found.better) | {cost: "max"})
        where: dict[str, Any] = {} if found.log_scores else {"logger": False}
        logged = {names[key]: mean for key, mean in means.items()}
        for name, value in (logged | {cost: found.seconds}).items():
            module.log(name, value, batch_size=1, **where)
        return logged

    def draw(
        self, trainer: pl.Trainer, found: Found, make: Callable[[], Sequence[Gallery]]
    ) -> None:
        """Send the galleries that `make` returns, and the test's `log_more`, to loggers and files.

        Only the first process sends, but every process must call this, and all raise its errors.

        Raises:
            AttributionError: the first failure of any process.
        """
        # On every process, as `trainer.log_dir` is a collective operation.
        folder = Path(found.folder or trainer.log_dir or trainer.default_root_dir)

        def send() -> None:
            galleries = make()
            if not trainer.is_global_zero:
                return
            sinks = self._sinks(trainer, None if trainer.fast_dev_run else folder)  # type: ignore[attr-defined]
            for gallery in galleries:
                sinks.maps(found.test, gallery, list(found.plan.methods), network=found.network)
            found.log_more(trainer, sinks)

        together(send)

    def _define(self, trainer: pl.Trainer, better: dict[str, str]) -> None:
        new = {name: which for name, which in better.items() if name not in self._defined}
        self._sinks(trainer).directions(new)
        self._defined |= new.keys()

    def _sinks(self, trainer: pl.Trainer, folder: Path | None = None) -> Sinks:
        return Sinks(trainer.loggers, folder, self._failed, epoch=int(trainer.current_epoch))


def means_of(scores: Scores) -> dict[Key, float]:
    """Mean scores by arm, over the inputs that have a score.

    All networks or draws of an arm ("bug", "bug: 2") have the same weight.
    """
    found: dict[Key, list[float]] = {}
    for key, column in scores:
        known = column.values[~np.isnan(column.values)]
        if key.arm != NULL and len(known):
            found.setdefault(key._replace(role=key.arm), []).extend(known)
    return {key: float(np.mean(values)) for key, values in found.items()}


def _named(key: Key, name: Callable[..., str]) -> str:
    """`debug/<test>/<method>/<similarity>[/control]/<condition>`."""
    arm = "" if key.arm == BUG else key.arm
    return name(key.test, key.method, key.similarity, arm, key.condition)
