"""Where pictures and tables go: any logger, found by what it can do, else files.

A logger that fails is reported once and never costs the run.
"""

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from explaindebug.files import write_atomically

Picture = npt.NDArray[np.uint8]  # (h, w, 3)


class Sinks:
    """Sends pictures, tables and curves to all loggers of a trainer, and to files in `folder`.

    W&B (`log_image`), TensorBoard (`experiment.add_image`) and MLflow (`experiment.log_image`) get
    pictures; what has none of these leaves them to the files.
    """

    def __init__(
        self, loggers: Sequence[Any], folder: Path, failed: set[str] | None = None
    ) -> None:
        self.loggers = list(loggers)
        self.folder = folder
        self._failed = set() if failed is None else failed  # who was reported already

    def pictures(self, key: str, pictures: Sequence[Picture], captions: Sequence[str]) -> None:
        """One panel of pictures under `key`, each with its caption; no step of our own."""
        sent = [self._guarded(x, _log_pictures, key, pictures, captions) for x in self.loggers]
        if any(sent):
            return
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            name = "".join(c if c.isalnum() or c in "=-" else "_" for c in caption) or str(i)
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            self._written(self.folder / key / f"{name}.png", file.getvalue())

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A tidy table under `key`, and as a CSV file."""
        for logger in self.loggers:
            self._guarded(logger, _log_table, key, columns, rows)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([columns, *rows])
        self._written(self.folder / f"{key}.csv", text.getvalue().encode())

    def curves(
        self, key: str, xs: Sequence[float], ys: dict[str, list[float]], title: str, xname: str
    ) -> None:
        """Lines over the same xs as one custom chart under `key`, where the logger has charts."""
        for logger in self.loggers:
            self._guarded(logger, _log_curves, key, xs, ys, title, xname)

    def _guarded(self, logger: Any, send: Any, *args: Any) -> bool:
        try:
            return bool(send(logger, *args))
        except Exception as error:
            self._report(type(logger).__name__, error)
            return False

    def _written(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as error:
            self._report(f"writing to {self.folder}", error)

    def _report(self, who: str, error: Exception) -> None:
        if who not in self._failed:
            self._failed.add(who)
            warnings.warn(
                f"explaindebug: {who} failed ({type(error).__name__}: {error}); the run goes on "
                "without it, and this is said once.",
                stacklevel=4,
            )


def _log_pictures(
    logger: Any, key: str, pictures: Sequence[Picture], captions: Sequence[str]
) -> bool:
    if hasattr(logger, "log_image"):
        logger.log_image(key=key, images=list(pictures), caption=list(captions))
        return True
    experiment: Any = getattr(logger, "experiment", None)
    if hasattr(experiment, "add_image"):
        for picture, caption in zip(pictures, captions, strict=True):
            tag, step = f"{key}/{caption.split(',')[0]}", _step(caption)
            experiment.add_image(tag, picture, step, dataformats="HWC")
        return True
    if hasattr(experiment, "log_image") and hasattr(logger, "run_id"):
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            name = f"{key}-{i}".replace("/", "-")
            experiment.log_image(logger.run_id, picture, key=name, step=_step(caption))
        return True
    return False


def _step(caption: str) -> int:
    """The epoch in a caption like "grad, epoch 3"; TensorBoard and MLflow order pictures by it."""
    digits = caption.rpartition("epoch ")[2].split(",")[0].strip()
    return int(digits) if digits.isdigit() else 0


def _log_table(
    logger: Any, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> bool:
    if hasattr(logger, "log_table"):  # W&B
        logger.log_table(key=key, columns=list(columns), data=[list(row) for row in rows])
        return True
    return False


def _log_curves(
    logger: Any,
    key: str,
    xs: Sequence[float],
    ys: dict[str, list[float]],
    title: str,
    xname: str,
) -> bool:
    if not hasattr(logger, "log_table"):
        return False
    import wandb

    chart = wandb.plot.line_series(
        xs=list(xs), ys=list(ys.values()), keys=list(ys), title=title, xname=xname
    )
    logger.experiment.log({key: chart})
    return True
