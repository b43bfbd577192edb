"""The contract that every callback of this package keeps; a test only writes its comparisons."""

import inspect
import math
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Never

import numpy as np
import torch
from torch import Tensor, nn

from explaindebug._lightning import Callback, pl
from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.attributions._engine.targets import predicted
from explaindebug.callbacks.cost import Cost, Forecast, Memory, duration, timed
from explaindebug.callbacks.keys import distinct, log_key
from explaindebug.callbacks.networks import (
    as_attached,
    as_floats,
    chosen_output,
    explained,
    logits,
    name_of,
)
from explaindebug.callbacks.options import (
    METHODS,
    After,
    Attributions,
    Target,
    signature,
    unknown_option,
)
from explaindebug.callbacks.probe import Collector, Share, Unpack, joined, length, unpack
from explaindebug.callbacks.ranks import equalise, gathered, processes, together
from explaindebug.callbacks.schedule import LOOPS, due, obstacle
from explaindebug.callbacks.sinks import Sinks
from explaindebug.core.errors import (
    AttributionError,
    ConfigError,
    DataError,
    MeasurementWarning,
    UnsupportedModelError,
)
from explaindebug.core.isolation import private_copy, undisturbed
from explaindebug.core.validation import number, whole
from explaindebug.debugtests.explain import Explain, Measured, merged
from explaindebug.debugtests.panels import captions, gallery, panels, shown
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.evaluation.nulls import blocks
from explaindebug.evaluation.results import Gallery
from explaindebug.evaluation.roles import BUG, NULL
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Unscored, restricted, sentences

REFUSED_STRATEGIES = ("fsdp", "deepspeed", "modelparallel")


class AttributionCallback(Callback):
    """Explains the same few inputs at every validation (and test).

    Works in `fit`, `validate` and `test` of any LightningModule, on any number of processes, and
    changes nothing: training with it is bit for bit what it is without it. Without a validation,
    `after="training"` measures in `fit`.

    Logs `debug/<test>/<method>/<similarity>/<condition>` (means over the probe), those of the
    no-bug control under `.../control/<condition>`, and `debug/<test>/seconds`, to the callback
    metrics and so to every logger; one strip of heat maps per method, and a table of scores, to
    loggers that take them. With no logger they go to files. Each input's scores stay in `scores`.

    In `fit` it prints once what a measurement will take, from timing a few inputs, and once what it
    took and which output was explained (`explains`). `plan` holds the methods that are computed:
    those asked for, less those that the network refused, each with a warning; every `fit`,
    `validate` and `test` starts from all of them again.

    Args:
        attributions: methods by name, as `{name: {option: value}}` or as objects; "all" for all.
        probe: how many inputs are explained: the first ones of the (unshuffled) data set.
        every_n_epochs: in `fit`, measure in every n-th epoch only.
        after: in `fit`, measure after each `validation`, or after the `training` epoch, on the
            first inputs of the training data.
        budget: seconds that a measurement may take; where the whole probe takes longer, only as
            many of its inputs are explained as fit, and that is said.
        target: the class explained: the one `predicted`, or the `label`.
        references: images (m, c, h, w) of the training distribution for methods that need some
            (EGrad, patterns); the probe itself where not given.
        unpack: batch -> (images, labels), where these are not found by themselves.
        forward: the submodule to explain ("backbone"); where not given, the whole module, or of one
            without a `forward` its only child that has parameters.
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
        log_scores: whether means, seconds and what is made of scores (table, curves) go to the
            loggers. Where not, means are callback metrics, and scores are in `scores`: for who logs
            those of several callbacks in one table.

    Raises:
        ConfigError: for an option that can't work, and for strategies that shard parameters.
        UnsupportedModelError: if `strict`, for a network that a method can't handle.
    """

    test: str  # name of the test in keys and tables
    better: ClassVar[str] = "min"  # which mean speaks for network and method: "min" or "max"
    __signature__: ClassVar[inspect.Signature]  # all options by name, also those of base classes

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.__signature__ = signature(cls)

    def __init__(
        self,
        attributions: Attributions = METHODS,
        *,
        probe: int = 64,
        every_n_epochs: int = 1,
        after: After = "validation",
        budget: float | None = None,
        target: Target = "predicted",
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
        log_scores: bool = True,
        **unknown: Never,
    ) -> None:
        super().__init__()
        for name in unknown:
            raise unknown_option(type(self), name)
        whole("probe", probe, least=1)
        whole("every_n_epochs", every_n_epochs, least=1)
        whole("chunk", chunk, least=1)
        whole("pictures", pictures, least=0)
        whole("seed", seed, least=0)
        if workers is not None:
            whole("workers", workers, least=1, most=1024, hint="None chooses.")
        if target not in ("predicted", "label"):
            raise ConfigError(f"target must be 'predicted' or 'label', got {target!r}.")
        if after not in LOOPS:
            raise ConfigError(f"after must be 'validation' or 'training', got {after!r}.")
        if budget is not None:
            number("budget", budget, above=0, hint="It is in seconds per validation.")
        self._asked = self.plan = Plan(attributions)
        if not self.plan.methods:
            raise ConfigError("attributions is empty: name a method, such as grad, or all.")
        self.every_n_epochs, self.after = every_n_epochs, after
        self.target, self.references = target, references
        self.forward, self.output, self.chunk, self.workers = forward, output, chunk, workers
        self.pictures, self.picture, self.folder = pictures, picture, folder
        self.classes, self.budget = classes, budget
        self.seed, self.strict, self.progress = seed, strict, progress
        self.log_scores = log_scores
        self.network = ""  # its name, where several networks of one kind share the loggers
        self.scores = Scores()  # of the last measurement
        self.galleries: list[Gallery] = []
        self.unscored: list[Unscored] = []  # maps without a score, of the last measurement
        self.explains = ""  # which output of what, once that is known
        self.warnings: list[str] = []  # what stays as trained, which maps have no score
        self.seconds = 0.0  # that the last measurement took
        self.history: list[list[Any]] = []  # epoch, key, mean
        self._collector = Collector(probe, unpack)
        self._probe: Probe | None = None  # of all processes, once it is complete
        self._inputs: int | None = None  # how many of it a resumed run had left
        self._network: nn.Module | None = None  # the weights that are being validated
        self._whole: Measured | None = None  # what is still to be drawn
        self._trouble: Exception | None = None  # why a batch or the network could not be taken
        self._supported = False  # the methods have been tried on the network
        self._forecast = Forecast(budget)
        self._warned: list[str] = []
        self._defined: set[str] = set()  # keys whose direction the loggers were told
        self._failed: set[str] = set()  # loggers that failed, each said once

    @property
    def neighbours(self) -> bool:
        """Whether an input's scores depend on the input of the next row, too."""
        return False

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
        if self.forward is not None:
            explained(pl_module, self.forward, self.output)
        self.plan, self._supported = self._asked, False  # this may be another network

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say now, and not by silence at the end, that nothing will be measured."""
        if why := obstacle(trainer, after=self.after, every=self.every_n_epochs):
            self._warn(f"{type(self).__name__} will measure nothing in this fit: {why}")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget what a validation that was interrupted has left."""
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
            # Weight averaging swaps weights at the epoch's ends, before or after us: what is
            # validated is certain only here, among the batches.
            self._try(lambda: self._take(trainer, pl_module))
            self._try(lambda: self._collect(trainer, batch))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and log."""
        if self._due(trainer, "validation"):
            self._run(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw: after the means have reached the loggers, so that pictures stand at their step."""
        whole, self._whole = self._whole, None
        if whole is not None:
            self._draw(whole, trainer)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Forget the network and the maps of a validation that was interrupted."""
        self._network = self._trouble = self._whole = None

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
    on_test_end = on_validation_end

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what the last epoch has left, now that its means have reached the loggers."""
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
            self._try(lambda: self._collect(trainer, batch))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the weights that the epoch has led to, and log."""
        if self._due(trainer, "training"):
            self._try(lambda: self._take(trainer, pl_module))
            self._run(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what the last epoch of all has left."""
        if self.after == "training":
            self.on_validation_end(trainer, pl_module)

    @property
    def state_key(self) -> str:
        """Tells callbacks of one type apart in a checkpoint."""
        methods = "+".join(self._asked.methods)
        said = [type(self).__name__, self.test, self.forward, methods, self._collector.count]
        return "/".join(map(str, [*said, self.target, self.seed, self.after]))

    def state_dict(self) -> dict[str, Any]:
        """The history of means and the probe's size, as plain values: loaded weights-only."""
        inputs = self._inputs if self._probe is None else len(self._probe.row)
        asked = self._collector.count
        return {"version": 2, "history": self.history, "probe": asked, "inputs": inputs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the history of the run that is resumed, and on as many inputs."""
        self.history = [list(row) for row in state_dict["history"]]
        if state_dict.get("probe") == self._collector.count:
            self._inputs = state_dict["inputs"]

    # How it is done

    def _due(self, trainer: pl.Trainer, loop: str) -> bool:
        return due(trainer, loop, after=self.after, every=self.every_n_epochs)

    def _begin(self) -> None:
        self._network = self._trouble = self._whole = None
        if self._probe is None:
            self._collector.clear()

    def _try(self, work: Callable[[], None]) -> None:
        """`unpack`, batches and the module are the user's: what they raise ends no training."""
        if self._trouble is None:
            try:
                work()
            except Exception as error:
                self._trouble = error  # told at the epoch's end, by all processes together

    def _collect(self, trainer: pl.Trainer, batch: Any) -> None:
        if self._probe is None:
            rank, world = trainer.global_rank, trainer.world_size
            self._collector.add(batch, rank=rank, world=world, length=length(trainer))

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._network = self._network or self._copy(trainer, pl_module)

    def _copy(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> nn.Module:
        with undisturbed(pl_module.device):
            whole = explained(pl_module, self.forward, self.output)
            return as_attached(private_copy(whole, shared=(trainer, *trainer.loggers)), trainer)

    def _run(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        try:
            whole = self._measured(trainer, pl_module)
        except AttributionError as error:
            return self._fail(f"measured nothing this time: {error}", error)
        finally:
            self._network = self._trouble = None
        if whole is None:
            return
        self._whole, self.scores, self.unscored = whole, whole.scores, whole.missing
        self.warnings = [*whole.warnings, *sentences(whole.missing, whole.scores)]
        for sentence in self.warnings:
            self._warn(sentence)
        self._log(trainer, pl_module)

    def _measured(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Measured | None:
        """What all processes measured; None where none of them has validated anything."""
        held = together(lambda: self._held(trainer, pl_module))
        network = self._network
        there = [validated for validated, _ in held]
        if network is None or not any(there):
            return None
        device = pl_module.device
        with undisturbed(device, seed=self.seed):
            equalise(network, there.index(True), whole=not all(there))
            together(lambda: self._prepare(network, [share for _, share in held], device))
        self._foresee(trainer, pl_module, network)
        start, fitting = time.perf_counter(), trainer.state.fn == "fit"
        saying = self._forecast.still_to_say(fitting=fitting)
        with Memory(device, network, wanted=saying) as memory:
            whole = merged(together(lambda: self._part(trainer, network, device)))
        self.seconds = max(gathered(time.perf_counter() - start))
        if saying:
            took = self._forecast.after(self._what, self.seconds, memory.said)
            # Whether outputs are classes only the user knows, so the choice is printed.
            pl_module.print(f"{took} It explains {self.explains}.")
        self._look_back()
        return whole

    def _held(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> tuple[bool, Share | None]:
        """Whether this process has validated anything, and its share of the probe."""
        if self._trouble is not None:
            raise self._trouble
        validated = self._network is not None
        if not validated and processes() > 1:
            self._network = self._copy(trainer, pl_module)  # gets the weights of one that has
        return validated, self._collector.share if self._probe is None else None

    def _prepare(
        self, network: nn.Module, shares: Sequence[Share | None], device: torch.device
    ) -> None:
        if self._probe is None:
            probe = joined(shares).select(slice(self._inputs))
            if self.target == "label" and bool((probe.label < 0).any()):
                raise DataError(
                    "target='label' explains classes, but some labels are none (of a regression, "
                    "of several classes at once). Use target='predicted', or give classes by "
                    "unpack=."
                )
            self._probe = probe._replace(image=as_floats(network, probe.image, device))
            self._collector.clear()
        self._drop_unsupported(network, self._probe.image[:4].to(device))

    def _drop_unsupported(self, network: nn.Module, images: Tensor) -> None:
        """Try each method once on one input, so that no measurement is lost to one of them."""
        if self._supported:
            return
        outputs = logits(network, images, chunk=1)  # says what to do about outputs that are none
        try:
            refusals = self.plan.refusals(network, images, images)
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"{error} Or name another submodule, forward=.") from error
        if refusals and self.strict:
            raise UnsupportedModelError(" ".join(map(str, refusals.values())))
        for name, refusal in refusals.items():
            self._warn(f"{name} is left out: {refusal}")
        self.plan = self.plan.without(refusals)
        self._supported = True
        self.explains = f"{name_of(network)}: {chosen_output(outputs, self.target)}"
        if self._probe is not None and bool((self._probe.label < 0).all()):
            self.explains += " (no label is a class)"

    def _part(
        self, trainer: pl.Trainer, network: nn.Module, device: torch.device, few: int | None = None
    ) -> Measured:
        """What this process measures on its share of the probe, or on the first `few` of it."""
        assert self._probe is not None
        probe, rank, world = self._probe, trainer.global_rank, trainer.world_size
        mine, more = map(torch.from_numpy, blocks(probe.row.numpy(), world)[rank])
        if not len(mine) or not self.plan.methods:
            return Measured()
        chunk = self.chunk if few is None else -(-few // -(-len(mine) // self.chunk))
        mine = mine[:few]
        taken = torch.cat([mine, more]) if self.neighbours and few is None else mine
        with undisturbed(device, seed=self.seed):
            explain = Explain(
                self.plan,
                references=self._references().to(device),
                chunk=chunk,
                workers=self.workers,
                progress=self.progress if few is None else None,
            )
            share = probe.select(taken).map(lambda x: x.clone().to(device))
            found = self._all(self.measure(network, share, explain))
        own = probe.row[mine].numpy()
        found.scores, found.missing = found.scores.of(own), restricted(found.missing, own.tolist())
        return found

    def _all(self, measured: Iterator[Measured]) -> Measured:
        parts: list[Measured] = []
        try:
            parts.extend(measured)
        except KeyboardInterrupt:
            self.scores = merged(parts).scores  # what is known so far is not lost
            raise
        return merged(parts)

    def _references(self) -> Tensor:
        assert self._probe is not None
        return self._probe.image[:64] if self.references is None else self.references

    # What it costs

    def _foresee(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, network: nn.Module
    ) -> None:
        """Before the first measurement, say what it will take, and keep to the budget."""
        share = -(-self._size // processes())
        if not self._forecast.wanted(share, fitting=trainer.state.fn == "fit"):
            return
        device = pl_module.device

        def estimate() -> Cost:
            part = partial(self._part, trainer, network, device)
            return Cost.worst(together(lambda: timed(part, share)))

        cost = estimate()
        if self.budget is not None and cost.seconds(share) > self.budget:
            cost = Cost(*map(min, cost, estimate()))  # the machine may have been busy for a moment
        each = "epoch" if self.after == "training" else "validation"
        pl_module.print(self._forecast.before(self._what, cost.seconds(share), each))
        if self._inputs is None:  # a resumed run goes on with as many inputs as it had
            self._shrink(cost.seconds(share), processes() * cost.inputs(self.budget or math.inf))

    def _look_back(self) -> None:
        """Explain fewer inputs from now on if they took far more than the budget."""
        if self.budget is not None and self.seconds > 2 * self.budget:
            self._shrink(self.seconds, int(self._size * self.budget / self.seconds))

    def _shrink(self, seconds: float, inputs: int) -> None:
        """Keep the probe's first inputs, and say so, where all of them take too long."""
        assert self._probe is not None
        inputs = max(1, inputs)
        if inputs < self._size:
            self._warn(
                f"{self._what} take {duration(seconds)}, and budget={self.budget:g} seconds are "
                f"enough for {inputs}: from now on only the first {inputs} are explained."
            )
            self._probe = self._probe.select(slice(inputs))

    @property
    def _size(self) -> int:
        return 0 if self._probe is None else len(self._probe.row)

    @property
    def _what(self) -> str:
        return f"{type(self).__name__}, {len(self.plan.methods)} methods × {self._size} inputs"

    # Where it goes

    def _show(self, name: str, probe: Probe, images: Tensor, maps: Any, arm: str = "") -> Measured:
        """The heat maps of a network, to be drawn as the row `name`; of an `arm`, where of one."""
        return shown(name, panels(probe, images, maps, self.drawn_rows, self.picture), arm)

    @property
    def drawn_rows(self) -> list[int]:
        """Rows of the inputs whose maps are drawn."""
        assert self._probe is not None
        rows: list[int] = self._probe.row[: self.pictures].tolist()
        return rows

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Means and seconds, on every process under the same keys."""
        means = self._means()
        names = distinct(means, self._name)
        cost = log_key("debug", self.test, "seconds")
        if trainer.is_global_zero and self.log_scores:
            bug = [key for key in means if key.test == self.test and key.role == BUG]
            better = {names[key]: self.better for key in bug} | {cost: "max"}
            new = {name: which for name, which in better.items() if name not in self._defined}
            self._sinks(trainer).directions(new)
            self._defined |= new.keys()
        where: dict[str, Any] = {} if self.log_scores else {"logger": False}
        logged = {names[key]: mean for key, mean in means.items()}
        for name, value in (logged | {cost: self.seconds}).items():
            pl_module.log(name, value, batch_size=1, **where)
        epoch = int(trainer.current_epoch)
        self.history += [[epoch, name, value] for name, value in logged.items()]

    def _means(self) -> dict[Key, float]:
        """Mean scores by arm, of those inputs that have a score.

        An arm's several networks or draws ("bug", "bug: 2") count alike.
        """
        found: dict[Key, list[float]] = {}
        for key, column in self.scores:
            known = column.values[~np.isnan(column.values)]
            if key.arm != NULL and len(known):
                found.setdefault(key._replace(role=key.arm), []).extend(known)
        return {key: float(np.mean(values)) for key, values in found.items()}

    def _name(self, key: Key) -> str:
        """`debug/<test>/<method>/<similarity>[/control]/<condition>`."""
        arm = "" if key.arm == BUG else key.arm
        return self.key(key.test, key.method, key.similarity, arm, key.condition)

    def key(self, test: str, *parts: str) -> str:
        """`debug/<test>/...`; the name of one network of several is part of the test's."""
        return log_key("debug", f"{test}-{self.network}" if self.network else test, *parts)

    def _sinks(self, trainer: pl.Trainer, folder: Path | None = None) -> Sinks:
        return Sinks(trainer.loggers, folder, self._failed, epoch=int(trainer.current_epoch))

    def _draw(self, whole: Measured, trainer: pl.Trainer) -> None:
        """Pictures and tables, on the first process alone; what fails here is told by all."""
        folder = self._folder(trainer)
        try:
            together(lambda: self._send(whole, trainer, folder))
        except AttributionError as error:
            self._fail(f"could not draw: {error}", error)

    def _send(self, whole: Measured, trainer: pl.Trainer, folder: Path) -> None:
        assert self._probe is not None
        first = self._probe.select(slice(self.pictures))
        names = captions(first.label, self.classes)
        shown = gallery(whole.shown, first.row.tolist(), names, whole.arms)
        self.galleries = [] if shown is None else [shown]
        if not trainer.is_global_zero:
            return
        sinks = self._sinks(trainer, None if trainer.fast_dev_run else folder)  # type: ignore[attr-defined]
        for drawn in self.galleries:
            sinks.maps(self.test, drawn, list(self.plan.methods), network=self.network)
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

    def _fail(self, failure: str, error: Exception) -> None:
        if self.strict:
            raise AttributionError(f"{type(self).__name__} {failure}") from error.__cause__
        self._warn(f"{type(self).__name__} {failure}")

    def _warn(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.append(sentence)
            warnings.warn(f"explaindebug: {sentence}", MeasurementWarning, stacklevel=2)


AttributionCallback.__signature__ = signature(AttributionCallback)
