"""The contract that every callback of this package keeps; a test only writes its comparisons."""

import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug._lightning import pl
from explaindebug.attributions.jobs import Progress
from explaindebug.attributions.plan import Plan
from explaindebug.attributions.targets import predicted
from explaindebug.callbacks.loggers import Sinks
from explaindebug.callbacks.measuring import (
    Explain,
    Measured,
    gallery,
    merged,
    model_strip,
    panels,
    stretched,
)
from explaindebug.callbacks.networks import explained, logits
from explaindebug.callbacks.probe import Collector, Probe, Unpack, joined, unpack
from explaindebug.callbacks.ranks import agree, gathered
from explaindebug.errors import AttributionError, ConfigError, UnsupportedModelError
from explaindebug.results import Gallery
from explaindebug.scores import Scores
from explaindebug.watching import private_copy, undisturbed

REFUSED_STRATEGIES = ("fsdp", "deepspeed", "modelparallel")


class AttributionCallback(pl.Callback):
    """Explains the same few inputs at every validation (and test).

    Works in `fit`, `validate` and `test` of any LightningModule, on any number of processes, and
    changes nothing: training with it is bit for bit what it is without it.

    Logs `debug/<test>/<method>/<similarity>/<condition>` (means over the probe) to the callback
    metrics and so to every logger; one strip of heat maps per method, and a table of scores, to
    loggers that take them. With no logger they go to files. Each input's scores stay in `scores`.

    Args:
        attributions: methods by name, as `{name: {option: value}}` or as objects; "all" for all.
        probe: how many inputs are explained: the first ones of the (unshuffled) data set.
        every_n_epochs: in `fit`, measure at the validations of every n-th epoch only.
        target: the class explained: the one `predicted`, or the `label`.
        references: images (m, c, h, w) of the training distribution for methods that need some
            (EGrad, patterns); the probe itself where not given.
        unpack: batch -> (images, labels), where a batch is none of tuple, mapping or dataclass.
        forward: the submodule to explain ("backbone"); the whole module where not given.
        output: key or index of the logits, where the network returns a mapping or a tuple.
        chunk: inputs per pass.
        workers: chunks explained side by side; chosen by the network's size where not given.
        pictures: of how many inputs heat maps are drawn.
        classes: names of the classes, for captions.
        picture: normalised image (c, h, w) -> (c, h, w) in [0, 1], to draw inputs in true colours.
        folder: where files go; the logger's folder, else the trainer's root, where not given.
        seed: of everything random here.
        strict: raise where otherwise a warning is given (unsupported layer, NaN, failing pass).
        progress: called with (method names, passes done, passes in all).

    Raises:
        ConfigError: for an option that can't work, and for strategies that shard parameters.
        UnsupportedModelError: if `strict`, for a network that a method can't handle.
    """

    test: str  # name of the test in keys and tables

    def __init__(
        self,
        attributions: Sequence[Any] | str = ("grad", "inputgrad", "gbp"),
        *,
        probe: int = 64,
        every_n_epochs: int = 1,
        target: str = "predicted",
        references: Tensor | None = None,
        unpack: Unpack = unpack,
        forward: str | None = None,
        output: str | int | None = None,
        chunk: int = 32,
        workers: int | None = None,
        pictures: int = 4,
        classes: Sequence[str] | None = None,
        picture: Callable[[Tensor], Tensor] = stretched,
        folder: str | Path | None = None,
        seed: int = 0,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("probe", probe, 1),
            ("every_n_epochs", every_n_epochs, 1),
            ("chunk", chunk, 1),
            ("pictures", pictures, 0),
        ):
            if value < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}.")
        if target not in ("predicted", "label"):
            raise ConfigError(f"target must be 'predicted' or 'label', got {target!r}.")
        self.plan = Plan(attributions)
        self._asked = tuple(self.plan.methods)
        self.every_n_epochs, self.target, self.references = every_n_epochs, target, references
        self.forward, self.output, self.chunk, self.workers = forward, output, chunk, workers
        self.pictures, self.picture, self.folder = pictures, picture, folder
        self.classes = classes
        self.seed, self.strict, self.progress = seed, strict, progress
        self.scores = Scores()  # of the last measurement
        self.galleries: list[Gallery] = []
        self.warnings: list[str] = []  # maps without a score, each named
        self.seconds = 0.0
        self.history: list[list[Any]] = []  # epoch, key, mean
        self._collector = Collector(probe, unpack)
        self._probe: Probe | None = None  # of all processes, once it is complete
        self._network: nn.Module | None = None  # the weights that are being validated
        self._unreadable: Exception | None = None  # why a batch gave no images
        self._supported = False  # the methods have been tried on the network
        self._warned: list[str] = []
        self._failed: set[str] = set()  # loggers that failed, each said once

    @abstractmethod
    def measure(self, network: nn.Module, probe: Probe, explain: Explain) -> Iterator[Measured]:
        """The test itself, on a private copy of the network and a share of the probe."""

    def targets(self, network: nn.Module, probe: Probe) -> Tensor:
        """The class (n,) to explain: the one that the network predicts, or the label."""
        if self.target == "label":
            return probe.label
        return predicted(logits(network, probe.image, chunk=self.chunk))

    # Lightning's hooks

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse what can't work before anything is computed."""
        strategy = type(trainer.strategy).__name__
        if any(name in strategy.lower() for name in REFUSED_STRATEGIES):
            raise ConfigError(
                f"{type(self).__name__} needs whole parameters on every process, but {strategy} "
                "shards them. Use strategy='ddp', or run the callback on a checkpoint with "
                "trainer.test."
            )
        explained(pl_module, self.forward, self.output)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget what a validation that was interrupted has left."""
        self._network = self._unreadable = None
        if self._probe is None:
            self._collector.clear()

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
        if self._due(trainer) and dataloader_idx == 0:
            self._look(trainer, pl_module, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and log."""
        if self._network is not None:
            self._run(trainer, pl_module)

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    @property
    def state_key(self) -> str:
        """Tells callbacks of one type apart in a checkpoint."""
        return f"{type(self).__name__}/{self.test}/{self.forward}/{'+'.join(self._asked)}"

    def state_dict(self) -> dict[str, Any]:
        """The history of means, as plain values: checkpoints are loaded weights-only."""
        return {"version": 1, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the history of the run that is resumed."""
        self.history = [list(row) for row in state_dict["history"]]

    # How it is done

    def _due(self, trainer: pl.Trainer) -> bool:
        if trainer.sanity_checking:
            return False
        fitting = trainer.state.fn == "fit"
        return not fitting or (trainer.current_epoch + 1) % self.every_n_epochs == 0

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any) -> None:
        if self._network is None and not self._copied(pl_module):
            return
        if self._probe is None:
            self._collect(trainer, batch)

    def _copied(self, pl_module: pl.LightningModule) -> bool:
        try:
            # Weight averaging swaps weights at the epoch's ends, before or after us: what is
            # validated is certain only here, among the batches.
            with undisturbed(pl_module.device):
                self._network = private_copy(explained(pl_module, self.forward, self.output))
        except UnsupportedModelError as error:
            self._fail(f"measured nothing this time: {error}", error)
        return self._network is not None

    def _collect(self, trainer: pl.Trainer, batch: Any) -> None:
        rank, world = trainer.global_rank, trainer.world_size
        try:
            self._collector.add(batch, rank=rank, world=world, length=_length(trainer))
        except Exception as error:  # `unpack` and batches are the user's
            self._unreadable = error  # told at the epoch's end, by all processes together

    def _run(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network, self._network = self._network, None
        assert network is not None
        start = time.perf_counter()
        mine = Measured()
        error: Exception | None = None
        shares = gathered(self._collector.share) if self._probe is None else []
        try:
            if self._unreadable is not None:
                raise self._unreadable
            self._probe = joined(shares) if self._probe is None else self._probe
            with undisturbed(pl_module.device, seed=self.seed):
                mine = self._measured(trainer, network, pl_module.device)
        except Exception as caught:
            error = caught
        failure = agree(error)
        if failure is not None:
            return self._fail(f"measured nothing this time: {failure}", error)
        whole = merged(gathered(mine))
        self.warnings = whole.warnings
        for sentence in whole.warnings:
            self._warn(sentence)
        self.seconds = time.perf_counter() - start
        self.scores = whole.scores
        self._log(trainer, pl_module)
        self._draw(whole, trainer)

    def _measured(self, trainer: pl.Trainer, network: nn.Module, device: torch.device) -> Measured:
        assert self._probe is not None
        self._drop_unsupported(network, self._probe.image[:4].to(device))
        share = self._probe.select(slice(trainer.global_rank, None, trainer.world_size))
        if not len(share.image) or not self.plan.methods:
            return Measured()
        references = self._probe.image[:64] if self.references is None else self.references
        explain = Explain(
            self.plan,
            references=references.to(device),
            chunk=self.chunk,
            workers=self.workers,
            progress=self.progress,
        )
        share = share.map(lambda x: x.clone().to(device))
        parts: list[Measured] = []
        try:
            parts.extend(self.measure(network, share, explain))
        except KeyboardInterrupt:
            self.scores = merged(parts).scores  # what is known so far is not lost
            raise
        return merged(parts)

    def _drop_unsupported(self, network: nn.Module, images: Tensor) -> None:
        """Try each method once on one input, so that no measurement is lost to one of them."""
        if self._supported:
            return
        logits(network, images, chunk=1)  # says what to do about outputs that are none
        refusals = self.plan.refusals(network, images, images)
        if refusals and self.strict:
            raise UnsupportedModelError(" ".join(map(str, refusals.values())))
        for name, error in refusals.items():
            self._warn(f"{name} is left out: {error}")
        self.plan = self.plan.without(refusals)
        self._supported = True

    def _keep(self, whole: Measured) -> None:
        rows = self._shown_rows()
        captions = dict(zip(rows, self._captions(), strict=False))
        shown = gallery(whole.shown, rows, captions)
        self.galleries = [] if shown is None else [shown]

    def _shown_rows(self) -> list[int]:
        assert self._probe is not None
        return list(self._probe.row[: self.pictures].tolist())

    def _captions(self) -> list[str]:
        assert self._probe is not None
        labels = self._probe.label[: self.pictures].tolist()
        known = dict(enumerate(self.classes or ()))
        return [known.get(y, f"class {y}") for y in labels]

    def _show(self, name: str, probe: Probe, images: Tensor, maps: Any) -> Measured:
        """The heat maps of a network, to be drawn as the row `name`."""
        rows = self._shown_rows()
        return Measured(shown={name: panels(probe, images, maps, rows, self.picture)})

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Means, on every process under the same keys."""
        for key, column in self.scores:
            if key.role in ("bug", "control") and (~torch.isnan(torch.tensor(column.values))).any():
                name = "/".join(["debug", key.test, key.method, key.similarity, key.condition])
                name += "" if key.role == "bug" else "/control"
                mean = float(torch.tensor(column.values).nanmean())
                pl_module.log(name, mean, batch_size=1)
                self.history.append([int(trainer.current_epoch), name, mean])

    def _draw(self, whole: Measured, trainer: pl.Trainer) -> None:
        """Pictures and tables, on the first process alone; what fails here is told by all."""
        folder = self._folder(trainer)
        error: Exception | None = None
        try:
            self._keep(whole)
            if trainer.is_global_zero:
                self._send(trainer, Sinks(trainer.loggers, folder, self._failed))
        except Exception as caught:
            error = caught
        failure = agree(error)
        if failure is not None:
            self._fail(f"could not draw: {failure}", error)

    def _send(self, trainer: pl.Trainer, sinks: Sinks) -> None:
        for shown in self.galleries:
            captions = [f"{m}, epoch {trainer.current_epoch}" for m in self.plan.methods]
            drawn = [model_strip(shown, m) for m in self.plan.methods]
            sinks.pictures(f"debug/{self.test}/maps", drawn, captions)
        self.log_more(trainer, sinks)

    def log_more(self, trainer: pl.Trainer, sinks: Sinks) -> None:
        """What a test sends to the loggers beside means and maps, on the first process alone."""

    def _folder(self, trainer: pl.Trainer) -> Path:
        # Every process must ask: `trainer.log_dir` is agreed on by all of them.
        return Path(self.folder or trainer.log_dir or trainer.default_root_dir)

    @property
    def reported(self) -> tuple[str, ...]:
        """All sentences that were said instead of raising."""
        return tuple(self._warned)

    def _fail(self, failure: str, error: Exception | None) -> None:
        if self.strict:
            raise AttributionError(f"{type(self).__name__} {failure}") from error
        self._warn(f"{type(self).__name__} {failure}")

    def _warn(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.append(sentence)
            warnings.warn(f"explaindebug: {sentence}", stacklevel=2)


def _length(trainer: pl.Trainer) -> int | None:
    loaders: Any = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    loader = loaders[0] if isinstance(loaders, list | tuple) and loaders else loaders
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return None
