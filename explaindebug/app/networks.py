"""The networks of a run: built, trained or taken from the store, each once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import get_args

from torch import nn

from explaindebug.app.data_modules import DataModules
from explaindebug.app.ddp_workers import Team
from explaindebug.app.given import load
from explaindebug.app.network_spec import Architecture
from explaindebug.app.outputs import Outputs
from explaindebug.app.own_modules import Served, logits_of
from explaindebug.app.progress import say
from explaindebug.app.settings import Settings
from explaindebug.app.store import Recipe, Store, Trained
from explaindebug.app.trainers import Trainers
from explaindebug.callbacks import AttributionCallback
from explaindebug.debugtests import NetworkSpec
from explaindebug.debugtests.lab import Domain

# A recipe says of these only what is not as usual.
USUAL = {"schedule": "one_cycle", "patience": None}
# Options of the trainer that decide nothing about the weights.
IRRELEVANT = ("_target_", "enable_progress_bar", "enable_model_summary", "log_every_n_steps")


@dataclass
class Networks:
    """Makes the networks of a run, and has those that are made."""

    settings: Settings
    modules: DataModules
    outputs: Outputs
    warnings: list[str] = field(default_factory=list)  # what callbacks said while networks trained
    made: dict[NetworkSpec, Trained] = field(default_factory=dict)

    @cached_property
    def trainers(self) -> Trainers:
        """What makes Lightning's trainers."""
        return Trainers(self.settings, self.outputs)

    @cached_property
    def store(self) -> Store:
        """Where trained networks are kept."""
        return Store(Path(self.settings.store))

    @cached_property
    def architectures(self) -> dict[Domain, Architecture]:
        """Of which kind each domain's networks are, and whether they are trained."""
        return {domain: Architecture.of(self.settings, domain) for domain in get_args(Domain)}

    def build(self, domain: Domain) -> nn.Module:
        """A fresh network for a domain's classes."""
        return logits_of(self._fresh(domain))

    def _fresh(self, domain: Domain) -> nn.Module:
        """The same as it is trained."""
        return self.architectures[domain].build(self.modules.training(domain))

    def to_train(self, wanted: NetworkSpec) -> bool:
        """Whether the network is trained, and its weights are not taken as they are."""
        return wanted.file is None and self.architectures[wanted.domain].train

    def take(self, wanted: NetworkSpec) -> None:
        """Read a network that exists as a file.

        Raises:
            ConfigError, DataError, UnsupportedModelError: for a file of something else.
        """
        assert wanted.file is not None
        images = self.modules.training(wanted.domain)
        network = load(self.architectures[wanted.domain], images, wanted.file)
        self.made[wanted] = Trained(network, None)

    def recipe(self, wanted: NetworkSpec) -> Recipe:
        """What decides the network's weights."""
        module = self.modules(wanted.domain, wanted.bug)
        architecture = self.architectures[wanted.domain]
        own = {k: v for k, v in self.settings.trainer.items() if k not in IRRELEVANT}
        if (processes := self.trainers.processes) > 1:
            own |= {"devices": None, "processes": processes}  # which ones are no matter
        course = {name: getattr(self.settings, name) for name in USUAL}
        training = {
            **own,
            "lr": self.settings.lr,
            **{k: v for k, v in course.items() if v != USUAL[k]},
            "batch_size": module.batch_size,
            "augment": getattr(module, "augment", None),
            **architecture.identity,
        }
        if architecture.lightning:  # which has its own optimizer
            training = {k: v for k, v in training.items() if k not in ("lr", "schedule")}
        if architecture.training is not None:
            training = dict(architecture.identity)
        seed = 1000 * self.settings.seed + wanted.twin
        data = module.data.train.fingerprint()
        return Recipe(wanted.name, seed, architecture.options, training, data)

    @contextmanager
    def training(self) -> Iterator[Callable[[NetworkSpec], None]]:
        """Inside, a function that makes a network, and trains it where the store has none.

        The processes that train together, where there are several, start with the first network
        that is trained, and end with the block.
        """
        with ExitStack() as stack:
            team = cache(lambda: stack.enter_context(self._team()))

            def make(wanted: NetworkSpec) -> None:
                if wanted in self.made:
                    return
                if wanted.file is not None:
                    self.take(wanted)
                elif self.to_train(wanted):
                    self.made[wanted] = self._trained(wanted, team)
                else:
                    self.made[wanted] = Trained(self.build(wanted.domain).eval(), None)

            yield make

    def how(self, wanted: NetworkSpec) -> str:
        """How a network came about, for people."""
        done = self.made[wanted]
        if wanted.file is not None:
            return f"from {wanted.file}"
        if done.checkpoint is None:
            return "with its weights as they are"
        if done.reused:
            return "reused"
        epochs = f", {done.epochs} epochs" if self.settings.patience else ""
        return f"trained in {done.seconds:.0f} s{epochs}"

    def _trained(self, wanted: NetworkSpec, team: Callable[[], Team]) -> Trained:
        recipe = self.recipe(wanted)
        missing = not self.store.has(recipe)
        if missing:
            with self.store.turn(recipe):
                missing = not self.store.has(recipe)  # another run may have trained it meanwhile
                if missing:
                    outside = self.architectures[wanted.domain].training is not None
                    alone = outside or self.trainers.processes == 1
                    said = self.fit(wanted) if alone else team()(wanted)[0]
                    self.warnings += [w for w in said if w not in self.warnings]
        done = self.store.load(recipe, self._like(recipe, wanted.domain), reused=not missing)
        self.outputs.checkpoint(wanted.name, done)
        return done

    def fit(self, wanted: NetworkSpec) -> list[str]:
        """Train a network into the store, or do this process's part of it; what callbacks said."""
        recipe = self.recipe(wanted)
        module = self.modules(wanted.domain, wanted.bug).with_seed(recipe.seed)
        architecture = self.architectures[wanted.domain]
        if architecture.training is not None:
            log = self.outputs.folder / "training" / f"{wanted.name.replace(' ', '-')}.log"
            train, pictures = architecture.training, module.data.train
            self.store.fit_outside(recipe, partial(train, pictures, recipe.seed, log=log))
            return []
        extra = self.trainers.callbacks(wanted.name)
        self.store.fit(
            recipe,
            lambda: self._fresh(wanted.domain),
            Served(module) if architecture.lightning else module,
            lambda callbacks: self.trainers([*callbacks, *extra]),
        )
        return [w for x in extra if isinstance(x, AttributionCallback) for w in x.reported]

    def _like(self, recipe: Recipe, domain: Domain) -> nn.Module:
        """A network for the weights that are kept: with as many outputs as they have."""
        architecture, kept = self.architectures[domain], self.store.kept(recipe)
        if architecture.training is None:
            return self._fresh(domain)
        return load(architecture, self.modules.training(domain), str(kept))

    def _team(self) -> Team:
        size = self.trainers.processes
        say(f"  {size} processes start, each with data and networks of its own")
        make = Member(self.settings, self.outputs.folder)
        return Team(size, make, threads=self.settings.threads)


@dataclass(frozen=True)
class Member:
    """What makes, in each of the processes that train together, the function that trains."""

    settings: Settings
    folder: Path

    def __call__(self, rank: int) -> Callable[[NetworkSpec], list[str]]:
        outputs = Outputs(self.settings, self.folder)
        if rank == 0:  # beside the run's own, which belong to the process that started us
            outputs.start(f"{self.folder.name}, training")
        return Networks(self.settings, DataModules.of(self.settings), outputs).fit
