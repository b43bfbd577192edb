"""Lightning's hooks: inputs are collected during an epoch, measured at its end, then drawn."""

from abc import abstractmethod
from typing import Any

from explaindebug._lightning import Callback, pl
from explaindebug.attributions.output_of import Output
from explaindebug.callbacks.intake import Intake
from explaindebug.callbacks.reports import Reports
from explaindebug.callbacks.schedule import due, obstacle
from explaindebug.debugtests.explain import Measured


class EpochHooks(Callback):
    """Calls `_run` at the end of every epoch that is due, and `_draw` after its means are logged.

    Attributes:
        after, every_n_epochs: which epochs are due, see `AttributionCallback`.
        forward, output: which part of the module is copied.
    """

    after: str
    every_n_epochs: int
    forward: str | None
    output: Output | None
    _intake: Intake
    _reports: Reports
    _whole: Measured | None = None  # measured, but not drawn yet

    @abstractmethod
    def _run(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Measured | None:
        """Measure and log, and discard the network's copy; returns what to draw."""

    @abstractmethod
    def _draw(self, whole: Measured, trainer: pl.Trainer) -> None:
        """Send pictures and tables."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Warn at the start if nothing will be measured."""
        if why := obstacle(trainer, after=self.after, every=self.every_n_epochs):
            self._reports.warn(f"{self._reports.who} will measure nothing in this fit: {why}")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Discard what an interrupted validation has left."""
        if self._due(trainer, "validation"):
            self._begin()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the probe, and copy the weights that are being validated."""
        if self._due(trainer, "validation") and dataloader_idx == 0:
            # Weight averaging swaps weights at the start and end of an epoch, before or after our
            # hooks; only between batches are the module's weights certainly the validated ones.
            self._take(trainer, pl_module)
            self._intake.add(trainer, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and log."""
        if self._due(trainer, "validation"):
            self._whole = self._run(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw after the means have reached the loggers, so that pictures have the same step."""
        whole, self._whole = self._whole, None
        if whole is not None:
            self._draw(whole, trainer)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Discard the network and the maps of the interrupted validation."""
        self._whole = None
        self._intake.forget()

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
    on_test_end = on_validation_end

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what the last epoch measured, now that its means have reached the loggers."""
        self.on_train_end(trainer, pl_module)
        if self._due(trainer, "training"):
            self._begin()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Collect the probe from the training data."""
        if self._due(trainer, "training"):
            self._intake.add(trainer, batch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the weights at the end of the epoch, and log."""
        if self._due(trainer, "training"):
            self._take(trainer, pl_module)
            self._whole = self._run(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what the final epoch measured."""
        if self.after == "training":
            self.on_validation_end(trainer, pl_module)

    def _due(self, trainer: pl.Trainer, loop: str) -> bool:
        return due(trainer, loop, after=self.after, every=self.every_n_epochs)

    def _begin(self) -> None:
        self._whole = None
        self._intake.begin()

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._intake.take(trainer, pl_module, self.forward, self.output)
