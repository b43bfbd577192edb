"""What all debugging tests of a run share: data, trained networks, and a place to measure."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from explaindebug._lightning import pl
from explaindebug.app.classifier import accuracy, predictions
from explaindebug.app.ddp_workers import Team
from explaindebug.app.loggers import started, tags_of
from explaindebug.app.network_spec import Architecture
from explaindebug.app.progress import counting, say
from explaindebug.app.settings import Settings
from explaindebug.app.store import Recipe, Store, Trained
from explaindebug.app.training import trainer
from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.base import DataBug
from explaindebug.callbacks import AttributionCallback
from explaindebug.callbacks.sinks import Sinks
from explaindebug.core.errors import (
    AttributionError,
    ConfigError,
    DataError,
    ExplainDebugError,
    UnsupportedModelError,
)
from explaindebug.core.io import link_or_copy, write_json
from explaindebug.core.isolation import undisturbed, watch
from explaindebug.data import ImageSet
from explaindebug.data.imageset import Labels
from explaindebug.debugtests import Arms, DebugTest, NetworkSpec, Options, Probe, measured
from explaindebug.debugtests.explain import Measured, merged
from explaindebug.debugtests.lab import Domain
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.postprocessing import PostProcessing
from explaindebug.evaluation.results import TestResult

# A recipe says of these only what is not as usual.
USUAL = {"schedule": "one_cycle", "patience": None}
# Options of the trainer that decide nothing about the weights.
IRRELEVANT = ("_target_", "enable_progress_bar", "enable_model_summary", "log_every_n_steps")
STRATEGIES = (
    "auto",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_find_unused_parameters_false",
)
REMEDY = {  # where weights are taken as they are, and a test needs more networks
    "data": "Weights are taken as they are by bug=reinit with bug.reinit.twin=false and by bug=ood "
    "with bug.ood.twin=false.",
    "foreign": "Choose what is trained on the foreign pictures: model@foreign_model=bvd_cnn.",
}


@dataclass
class Workbench:
    """Data, trained networks and trainers of one run.

    Networks are made in the order in which they are asked for; each is trained once.
    """

    settings: Settings
    folder: Path
    loggers: Sequence[Any] = ()
    accuracies: list[tuple[str, str, float]] = field(default_factory=list)
    trained: dict[NetworkSpec, Trained] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)  # of data, and of callbacks in training
    probed: dict[str, dict[int, str]] = field(default_factory=dict)  # test -> input -> its class
    progress: Progress | None = None  # told of every call to explain
    _failed: set[str] = field(default_factory=set)  # loggers that failed, each said once

    @cached_property
    def store(self) -> Store:
        """Where trained networks are kept."""
        return Store(Path(self.settings.store))

    @cached_property
    def comparison(self) -> Comparison:
        """How maps are compared."""
        s = self.settings
        return Comparison(s.similarities, PostProcessing(**s.postprocessing), s.nulls, s.seed)

    @cached_property
    def modules(self) -> Mapping[Domain, Any]:
        """The data modules of both domains, without any bug."""
        own = instantiate(self.settings.data, _convert_="all")
        foreign = instantiate(self.settings.foreign, _convert_="all")
        for module in (own, foreign):
            for name, what in (("progress", "reading pictures"), ("fetching", "fetching data")):
                if hasattr(module, name):
                    setattr(module, name, counting(what))
        return {"data": own, "foreign": foreign}

    def data(self, domain: Domain = "data", bug: DataBug | None = None) -> Any:
        """A data module, with or without a bug; both share their clean pictures."""
        module = self.modules[domain]
        return module if bug is None else module.with_bug(bug)

    def architecture(self, domain: Domain) -> Architecture:
        """Of which kind a domain's networks are, and whether they are trained."""
        return self._architectures[domain]

    @cached_property
    def _architectures(self) -> dict[Domain, Architecture]:
        return {domain: Architecture.of(self.settings, domain) for domain in get_args(Domain)}

    def build(self, domain: Domain) -> nn.Module:
        """A fresh network for a domain's classes."""
        return self.architecture(domain).build(self.modules[domain].clean.train)

    def recipe(self, wanted: NetworkSpec) -> Recipe:
        """What decides the network's weights."""
        module = self.data(wanted.domain, wanted.bug)
        architecture = self.architecture(wanted.domain)
        own = {k: v for k, v in self.settings.trainer.items() if k not in IRRELEVANT}
        if self.processes > 1:
            own |= {"devices": None, "processes": self.processes}  # which ones are no matter
        course = {name: getattr(self.settings, name) for name in USUAL}
        training = {
            **own,
            "lr": self.settings.lr,
            **{k: v for k, v in course.items() if v != USUAL[k]},
            "batch_size": module.batch_size,
            "augment": getattr(module, "augment", None),
            **architecture.identity,
        }
        seed = 1000 * self.settings.seed + wanted.twin
        data = module.data.train.fingerprint()
        return Recipe(wanted.name, seed, architecture.options, training, data)

    @cached_property
    def processes(self) -> int:
        """How many train a network together."""
        return self._trainer([]).world_size

    def train(self, wanted: Sequence[NetworkSpec]) -> None:
        """Train what is not yet trained, and measure its accuracy on held-out data."""
        with ExitStack() as stack:
            team = cache(lambda: stack.enter_context(self._team()))
            for i, want in enumerate(wanted):
                say(f"network {i + 1} of {len(wanted)}: {want.name}")
                done = self.trained[want] = self._trained(want, team)
                found = self.accuracy(want, "test", self.data(want.domain, want.bug).data.test)
                say(f"  accuracy {found:.3f} on test pictures, {self._how(done)}")

    def _how(self, done: Trained) -> str:
        if done.checkpoint is None:
            return "with its weights as they are"
        if done.reused:
            return "reused"
        epochs = f", {done.epochs} epochs" if self.settings.patience else ""
        return f"trained in {done.seconds:.0f} s{epochs}"

    def to_train(self, wanted: NetworkSpec) -> bool:
        """Whether the network is trained, and its weights are not taken as they are."""
        return self.architecture(wanted.domain).train

    def _trained(self, want: NetworkSpec, team: Callable[[], Team]) -> Trained:
        if not self.to_train(want):
            return Trained(self.build(want.domain).eval(), None)
        recipe = self.recipe(want)
        missing = not self.store.has(recipe)
        if missing:
            with self.store.turn(recipe):
                missing = not self.store.has(recipe)  # another run may have trained it meanwhile
                if missing:
                    said = self.fit(want) if self.processes == 1 else team()(want)[0]
                    self.warnings += [w for w in said if w not in self.warnings]
        done = self.store.load(recipe, self.build(want.domain), reused=not missing)
        self._copy(want, done)
        return done

    def fit(self, want: NetworkSpec) -> list[str]:
        """Train a network into the store, or do this process's part of it; what callbacks said."""
        recipe = self.recipe(want)
        extra = self.callbacks(want.name)
        self.store.fit(
            recipe,
            lambda: self.build(want.domain),
            self.data(want.domain, want.bug).with_seed(recipe.seed),
            lambda callbacks: self._trainer([*callbacks, *extra]),
        )
        return [w for x in extra if isinstance(x, AttributionCallback) for w in x.reported]

    def _team(self) -> Team:
        say(f"  {self.processes} processes start, each with data and networks of its own")
        make = Member(self.settings, self.folder)
        return Team(self.processes, make, threads=self.settings.threads)

    def network(self, wanted: NetworkSpec) -> nn.Module:
        """The trained network, in eval mode."""
        return self.trained[wanted].network

    def accuracy(
        self, wanted: NetworkSpec, what: str, images: ImageSet, *, scenes: bool = False
    ) -> float:
        """Share of pictures (or of their scenes alone) that the network gives their label."""
        pixels = images.scenes if scenes else images.pixels
        if pixels is None:
            raise DataError(f"{what}: these pictures have no scenes.")
        found = accuracy(
            self.network(wanted), images.normalise(pixels), images.batch(slice(None)).label
        )
        self.accuracies.append((wanted.name, what, found))
        return found

    def predictions(self, wanted: NetworkSpec, images: ImageSet) -> Labels:
        """The class (n,) that the network gives each picture."""
        batch = images.batch(slice(None)).image
        return predictions(self.network(wanted), batch).numpy()

    @property
    def seed(self) -> int:
        """Of all that is random in a run."""
        return self.settings.seed

    @property
    def inputs(self) -> int:
        """How many inputs are explained."""
        return self.settings.probe

    def words(self, domain: Domain) -> str:
        """Of which kind a domain's networks are, for people."""
        return self.architecture(domain).words

    def measure(
        self,
        test: DebugTest,
        arms: Arms,
        images: ImageSet,
        domain: Domain = "data",
        *,
        pictures: int | None = None,
    ) -> TestResult:
        """What the test finds on these pictures, measured as `run_test` does; its maps are logged.

        Raises:
            AttributionError: where a method or a similarity fails.
        """
        self.probed.setdefault(test.name, {}).update(classes_of(images))
        options = self.options(domain)
        parts: list[Measured] = []
        drawn = images.indices[: self.settings.pictures if pictures is None else pictures].tolist()
        inputs = images.subset(np.argsort(images.indices, kind="stable"))
        try:
            with undisturbed(self.device, seed=self.seed):
                probe = Probe.of(inputs).map(lambda x: x.to(self.device))
                private = arms.private(self.device)
            result = measured(test, private, probe, options, drawn=drawn, parts=parts)
        except (KeyboardInterrupt, SystemExit):
            merged(parts).scores.to_csv(self.folder / f"scores-{test.name}-cut.csv")
            raise
        except (ExplainDebugError, OSError):
            raise
        except Exception as error:  # of a method or a similarity of the user's own
            raise AttributionError(f"{test.name}: {type(error).__name__}: {error}") from error
        self._draw(result)
        return result

    def _draw(self, result: TestResult) -> None:
        """Maps to the loggers, or as files where none takes pictures."""
        sinks = Sinks(self.loggers, self.folder, self._failed)
        methods = result.rows or Plan(self.settings.attributions).methods
        for gallery in result.galleries:
            sinks.maps(result.name, gallery, list(methods))
        for logger in self.loggers:  # what is logged by now is not lost
            logger.save()
            logger.finalize("success")

    def options(self, domain: Domain) -> Options:
        """How the maps of a domain's inputs are made and compared."""
        s = self.settings
        clean: ImageSet = self.modules[domain].clean.train
        return Options(
            plan=Plan(s.attributions),
            comparison=self.comparison,
            references=self.references(domain),
            pictures=s.pictures,
            classes=clean.classes,
            picture=lambda image: true_colours(image, clean),
            device=self.device,
            chunk=s.chunk,
            workers=s.workers,
            seed=s.seed,
            progress=self.progress,
        )

    @cached_property
    def device(self) -> torch.device:
        """Where the networks are put that are explained."""
        return trainer(**self._alone()).strategy.root_device

    def _alone(self) -> dict[str, Any]:
        """The trainer's options with one device, the first of those that train."""
        options = {
            k: v for k, v in self.settings.trainer.items() if k not in ("_target_", "strategy")
        }
        devices = options.get("devices")
        if isinstance(devices, str) and "," in devices:
            devices = [int(one) for one in devices.split(",") if one.strip()]
        return options | {"devices": devices[:1] if isinstance(devices, list) else 1}

    def references(self, domain: Domain) -> Tensor:
        """Training pictures for methods that need some."""
        clean: ImageSet = self.modules[domain].clean.train
        return clean.batch(slice(0, 128)).image

    def record(self, wanted: NetworkSpec) -> None:
        """Write down what the bug changed: which rows, and their right labels."""
        module = self.data(wanted.domain, wanted.bug)
        write_json(self.folder / "records" / f"{wanted.name}.json", module.record)

    def check_trainer(self) -> None:
        """Refuse a trainer that can't be made here, or that would train nothing.

        Raises:
            ConfigError: with what Lightning says.
        """
        try:
            made = self._trainer([])
        except Exception as error:
            raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
        if (made.max_epochs == -1 and made.max_steps == -1) or 0 in (
            made.max_epochs,
            made.max_steps,
        ):
            raise ConfigError(
                f"trainer.max_epochs must be at least 1, got {made.max_epochs} (max_steps: "
                f"{made.max_steps}). Weights are taken as they are by model.train=false."
            )
        if self.settings.patience and made.limit_val_batches == 0:
            raise ConfigError(
                f"patience={self.settings.patience} waits for the validation loss, but "
                "trainer.limit_val_batches=0 leaves none. Leave one of them out."
            )
        if not self.settings.trainer.get("fast_dev_run"):
            for key in ("limit_train_batches", "accumulate_grad_batches", "log_every_n_steps"):
                if not getattr(made, key, 1) > 0:
                    raise ConfigError(
                        f"trainer.{key} must be above 0, got {getattr(made, key)}. Leave it out "
                        f"with ~trainer.{key}."
                    )
        clip = made.gradient_clip_val
        if clip is not None and clip < 0:
            raise ConfigError(f"trainer.gradient_clip_val must be at least 0, got {clip}.")
        strategy = self.settings.trainer.get("strategy", "auto")
        if made.num_nodes > 1:
            raise ConfigError(
                f"trainer.num_nodes={made.num_nodes}: the processes of a run are on one machine. "
                "Many machines take a sweep, a run each: docs/scale.md."
            )
        if made.world_size > 1 and strategy not in STRATEGIES:
            raise ConfigError(
                f"trainer.strategy={strategy} on {made.world_size} devices: a run's processes "
                f"each have a whole network. Take one of {', '.join(STRATEGIES)}."
            )

    def check_given(self, wanted: Sequence[NetworkSpec]) -> None:
        """Refuse to take weights as they are where there are none, or a network must be trained.

        Raises:
            ConfigError: with what else would do.
        """
        given = [want for want in wanted if not self.to_train(want)]
        for domain in dict.fromkeys(want.domain for want in given):
            architecture = self.architecture(domain)
            mine = [want for want in given if want.domain == domain]
            trained = list(dict.fromkeys(w.name for w in mine if w.bug is not None or w.twin))
            if trained:
                raise ConfigError(
                    f"{architecture.key}.train=false takes weights as they are, but "
                    f"{', '.join(trained)} must be trained. {REMEDY[domain]}"
                )
            architecture.check_weights(self.modules[domain].clean.train)

    def check_methods(self, domain: Domain) -> None:
        """Refuse methods that the network's layers don't allow, and networks that give no logits.

        Raises:
            UnsupportedModelError: with the layers' names.
        """
        network = self.build(domain)
        images = self.modules[domain].clean.train.batch(slice(0, 4)).image
        with watch(network) as private:
            plan = Plan(self.settings.attributions)
            refusals = plan.refusals(private, images, images)
        if refusals:
            raise UnsupportedModelError(
                " ".join(f"{name}: {error}" for name, error in refusals.items())
            )

    def describe(self, domains: Iterable[Domain] = ("data", "foreign")) -> str:
        """The data of these domains in a few words."""
        said = []
        for module in (self.modules[domain] for domain in domains):
            train, val, test = module.clean
            _, h, w = train.size
            counts = f"{len(train)} + {len(val)} + {len(test)} pictures of {h} x {w} px"
            said.append(f"{type(module).__name__}: {counts}, {len(train.classes)} classes")
        return "; ".join(said)

    def upload_lines(self) -> list[str]:
        """How to upload what was logged offline."""
        runs = sorted((self.folder / "wandb").glob("offline-run-*"))
        return [shlex.join(["wandb", "sync", str(run)]) for run in runs]

    def start_loggers(self, name: str) -> list[Any]:
        """The loggers of a run that is called `name`, which know its settings."""
        s = self.settings
        return started(s.logger, self.folder, name, settings=asdict(s), tags=tags_of(s))

    def _trainer(self, callbacks: Sequence[Any]) -> pl.Trainer:
        options = {k: v for k, v in self.settings.trainer.items() if k != "_target_"}
        return trainer(
            **options,
            callbacks=list(callbacks),
            logger=list(self.loggers) or False,
            default_root_dir=self.folder,
        )

    def callbacks(self, name: str) -> list[Any]:
        """Those that watch the training of the network `name`."""
        found = []
        for node in self.settings.callbacks.values():
            callback = instantiate(node, _convert_="all")
            if isinstance(callback, AttributionCallback):
                callback.network = name  # networks share one W&B run
                callback.folder = callback.folder or self.folder
            found.append(callback)
        return found

    def _copy(self, wanted: NetworkSpec, done: Trained) -> None:
        """The checkpoint into the run's folder, so that everything of a run is there."""
        assert done.checkpoint is not None
        name = f"{wanted.name.replace(' ', '-')}.ckpt"
        link_or_copy(done.checkpoint, self.folder / "checkpoints" / name)


@dataclass(frozen=True)
class Member:
    """What makes, in each of the processes that train together, the function that trains."""

    settings: Settings
    folder: Path

    def __call__(self, rank: int) -> Callable[[NetworkSpec], list[str]]:
        bench = Workbench(self.settings, self.folder)
        if rank == 0:  # beside the run's own, which belong to the process that started us
            name = f"{self.folder.name}, training"
            bench.loggers = bench.start_loggers(name)
        return bench.fit


def classes_of(images: ImageSet) -> dict[int, str]:
    """The right class of each picture by its row."""
    pairs = zip(images.indices.tolist(), images.truth.tolist(), strict=True)
    return {row: images.classes[label] for row, label in pairs}


def true_colours(image: Tensor, images: ImageSet) -> Tensor:
    """A normalised image (c, h, w) as it was, in [0, 1]."""
    mean, std = (image.new_tensor(v).view(-1, 1, 1) for v in (images.mean, images.std))
    return image * std + mean
