"""Lightning trainers, as quiet as the console needs them."""

import logging
import warnings
from importlib import import_module
from typing import Any

from explaindebug._lightning import pl
from explaindebug.errors import DataWarning

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
    "explaindebug: (?!.*the run goes on).*",  # the table and the report say it
    ".*anonymous setting has no effect.*",
    ".*in the `DataLoader` will.*",
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # callbacks log one number everywhere
    ".*You defined a `validation_step` but have no `val_dataloader`.*",
)


class Bar(pl.callbacks.RichProgressBar):
    """Lightning's progress bar without the logger's version number."""

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        """What stands behind the bar."""
        return {name: x for name, x in super().get_metrics(*args).items() if name != "v_num"}


def trainer(
    *,
    max_epochs: int,
    accelerator: str = "cpu",
    devices: int | str | list[int] = 1,
    precision: str = "32-true",
    enable_progress_bar: bool = True,
    **options: Any,
) -> pl.Trainer:
    """A Lightning Trainer with a rich progress bar; `options` are the others of `Trainer`.

    A scheduler's variables don't decide how many processes train: a job may be one of them.
    """
    options.setdefault("plugins", [LightningEnvironment()])
    options.setdefault("enable_model_summary", False)
    options.setdefault("num_sanity_val_steps", 0)
    options.setdefault("log_every_n_steps", 10)
    quiet()
    if enable_progress_bar:
        options["callbacks"] = [*(options.get("callbacks") or ()), Bar(leave=False)]
    return pl.Trainer(
        max_epochs=max_epochs,
        accelerator=accelerator,
        devices=devices,
        precision=precision,  # type: ignore[arg-type]
        enable_progress_bar=enable_progress_bar,
        **options,
    )


def quiet() -> None:
    """Keep Lightning's notes off the console; its warnings stay, except well-known chatter."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in CHATTER:
        warnings.filterwarnings("ignore", pattern)
    warnings.filterwarnings("ignore", category=DataWarning)  # said before, see `noting`
