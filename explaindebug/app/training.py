"""Lightning trainers with little console output."""

import logging
import signal
import threading
import warnings
from importlib import import_module
from typing import Any

from explaindebug._lightning import pl
from explaindebug.app.checkpoints import WholeFiles
from explaindebug.core.errors import DataWarning, MeasurementWarning

LightningEnvironment: Any = import_module(
    f"{pl.__name__}.plugins.environments"
).LightningEnvironment
CHATTER = (
    ".*does not have many workers.*",
    ".*`Trainer.fit` stopped.*",
    ".*The number of training batches.*is smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*GPU available but not used.*",
    ".*LeafSpec.*",
    ".*anonymous setting has no effect.*",
    ".*in the `DataLoader` will.*",
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # equal on all ranks
    ".*You defined a `validation_step` but have no `val_dataloader`.*",
)


class Bar(pl.callbacks.RichProgressBar):
    """Lightning's progress bar without the logger's version number."""

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        """The metrics shown next to the bar."""
        return {name: x for name, x in super().get_metrics(*args).items() if name != "v_num"}


class OwnSignals(pl.Callback):
    """Keeps the process's own SIGTERM handler while Lightning is running.

    Lightning's handler would end training as if it were complete, and wait for the end of a test.
    It would also end submitit's jobs, which must keep running until they are requeued.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the handler, as Lightning has set its own by now."""
        if threading.current_thread() is threading.main_thread() and self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)

    on_test_start = on_train_start


def trainer(
    *,
    max_epochs: int,
    accelerator: str = "cpu",
    devices: int | str | list[int] = 1,
    precision: str = "32-true",
    enable_progress_bar: bool = True,
    **options: Any,
) -> pl.Trainer:
    """A Lightning Trainer with a rich progress bar; `options` are further options of `Trainer`.

    The number of processes does not depend on a scheduler's environment variables, as the job may
    itself be one of several.
    """
    options["plugins"] = [*(options.get("plugins") or [LightningEnvironment()]), WholeFiles()]
    options.setdefault("enable_model_summary", False)
    options.setdefault("num_sanity_val_steps", 0)
    options.setdefault("log_every_n_steps", 10)
    quiet()
    options["callbacks"] = [OwnSignals(), *(options.get("callbacks") or ())]
    if enable_progress_bar:
        options["callbacks"].append(Bar(leave=False))
    return pl.Trainer(
        max_epochs=max_epochs,
        accelerator=accelerator,
        devices=devices,
        precision=precision,  # type: ignore[arg-type]
        enable_progress_bar=enable_progress_bar,
        **options,
    )


def quiet() -> None:
    """Hide Lightning's info messages; its warnings stay, except those in `CHATTER`."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in CHATTER:
        warnings.filterwarnings("ignore", pattern)
    warnings.filterwarnings("ignore", category=MeasurementWarning)  # in the table and the report
    warnings.filterwarnings("ignore", category=DataWarning)  # already printed, see `noting`
