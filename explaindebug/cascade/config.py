"""Configuration of a cascade: which layers are re-initialised, in which order."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import channels_last
from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.initialisers import Initialiser, initialiser
from explaindebug.bugs.reinitialisation import Fresh, Report, fresh
from explaindebug.cascade.states import TRAINED, Smoothing, State
from explaindebug.cascade.walk import Walk
from explaindebug.core.errors import ConfigError
from explaindebug.core.validation import whole
from explaindebug.models.layers import Layer, Stage, check_order, grouped, layers, stages


@dataclass(frozen=True)
class Cascade:
    """Which layers lose their weights, in which order, and how maps are made at each stage.

    Args:
        order: `top_down` from the last layer to the first, each stage keeping the changes of
            earlier ones; `bottom_up` the other way round; `independent` one layer at a time.
        depth: None for a stage per layer; 1 for one per block of the network (its children), 2 for
            the children of these, and so on.
        groups: layers that form one stage, by the stage's name: `{"head": ["fc", "layer4"]}`.
        init: the source of new weights: the layer's own `layer_default`, `glorot` (the paper's),
            `torchvision`, `permute_weights`, or a function, see `initialisers`.
        draws: how often new weights are drawn; each draw gives a separate network.
        retake: explain the class that the network predicts at each stage, as the authors' code of
            2018 did, instead of the class that the trained network predicts.
        smoothing: maps are means over noisy copies of the input (Smooth MPRT).
        most: only the first stages; None for all.
        seed: of the new weights: a layer's depend only on (seed, draw, its name).

    Raises:
        ConfigError: for an invalid option.

    Source: Adebayo et al. 2020, section 4; 2018, section 3; Binder et al. 2023 (`bottom_up`).
    """

    order: str = "top_down"
    depth: int | None = None
    groups: Mapping[str, Collection[str]] | None = None
    init: str | Initialiser = "layer_default"
    draws: int = 1
    retake: bool = False
    smoothing: Smoothing | None = None
    most: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_order(self.order)
        initialiser(self.init)
        whole("draws", self.draws, least=1)
        if self.depth is not None:
            whole("depth", self.depth, least=1, hint="Use None for a stage per layer.")
        if self.most is not None:
            whole("most", self.most, least=0, hint="It is a number of stages.")

    def layers(self, model: nn.Module, example: Tensor) -> list[Layer]:
        """The layers or groups, in the order in which an image (1, c, h, w) passes them."""
        found = layers(model, example, depth=self.depth)
        return grouped(found, self.groups) if self.groups else found

    def stages(self, model: nn.Module, example: Tensor) -> list[Stage]:
        """The stages, in order."""
        return stages(self.layers(model, example), self.order)[: self.most]

    def __call__(
        self,
        model: nn.Module,
        plan: Plan,
        example: Tensor,
        *,
        references: Tensor | None = None,
        chunk: int = 32,
        workers: int | None = None,
    ) -> "Prepared":
        """The cascade for a private model (see `watch`): weights drawn, methods prepared.

        With `references` (m, c, h, w), methods are prepared on the trained network, and from there
        for each stage: patterns that are `frozen` remain those of the trained network.

        Raises:
            UnsupportedModelError: for a model without parameters.
            ConfigError: if a stage would change nothing.
        """
        channels_last(model)
        found = self.layers(model, example)
        steps = stages(found, self.order)[: self.most]
        draws = self._draws(model, steps)
        steps, empty = _lost(steps, draws[0]) if draws else (steps, ())
        states = [
            State(step.name, draw, new.of(step.layers))
            for draw, new in enumerate(draws)
            for step in steps
        ]
        first = plan if references is None else plan.prepare(model, references)
        plans = [first]
        for state in states:
            with state.of(model):
                plans.append(first if references is None else first.prepare(model, references))
        how = (self.smoothing, self.retake, chunk, workers)
        return Prepared(
            stages=tuple(stage.name for stage in steps),
            walk=Walk(model, [TRAINED, *states], plans, *how),
            trained=Walk(model, [TRAINED], [first], *how),
            report=draws[0].report if draws else None,
            unused=tuple(layer.name for layer in found if not layer.used),
            unread=tuple(name for layer in found for name in layer.unread),
            empty=empty,
        )

    def _draws(self, model: nn.Module, steps: list[Stage]) -> list[Fresh]:
        """New values of all layers; within a draw, each layer is drawn once for all stages."""
        everything = list(dict.fromkeys(name for stage in steps for name in stage.layers))
        return [
            fresh(model, everything, seed=self.seed, draw=draw, init=self.init)
            for draw in range(self.draws if steps else 0)
        ]


def _lost(steps: list[Stage], new: Fresh) -> tuple[list[Stage], tuple[str, ...]]:
    """The stages that change something, and the names of the others.

    The layers of the others already have the values of a new network: frozen or never trained.

    Raises:
        ConfigError: for a stage that stays as trained because the initialiser has no rule for it,
            and if no stage is left.
    """
    empty = [step for step in steps if not new.lost.intersection(new.meant(step.layers))]
    for step in empty:
        kept = [name for layer in new.meant(step.layers) for name in new.left[layer]]
        if kept:
            raise ConfigError(
                f"stage {step.name} would lose nothing: init={new.report.init} gives no new values "
                f"to {', '.join(kept[:4])}, so its maps would be those of an unchanged network. "
                "Use init=permute_weights, which needs values that are not all equal, or a "
                "function of your own; or merge the layer with another one by groups=."
            )
    if steps and len(empty) == len(steps):
        raise ConfigError(
            f"no stage would lose anything: {', '.join(step.name for step in empty[:4])} already "
            f"have the values that init={new.report.init} gives. Is the network trained? If so, "
            "use another init or another seed."
        )
    return [step for step in steps if step not in empty], tuple(step.name for step in empty)


class Prepared(NamedTuple):
    """A cascade that is ready to run on any images."""

    stages: tuple[str, ...]
    walk: Walk  # the trained network, then all stages of all draws
    trained: Walk  # the trained network only
    report: Report | None  # of the first draw; None if there are no stages
    unused: tuple[str, ...]  # layers that the forward pass does not use
    unread: tuple[str, ...]  # parameters of used layers that the forward pass does not read
    empty: tuple[str, ...]  # stages left out because they would change nothing

    @property
    def notes(self) -> list[str]:
        """What stays as trained, and why: a sentence each."""
        notes = []
        if self.report is not None and self.report.left:
            notes.append(str(self.report))
        if self.unused:
            notes.append(
                f"the forward pass does not use {', '.join(self.unused)}: they are in no stage, "
                "since losing them would change nothing. (If the network caches values computed "
                "from them, clear the cache first.)"
            )
        if self.unread:
            notes.append(
                f"the forward pass does not read {', '.join(self.unread)}: losing them changes "
                "nothing. (If the network caches values computed from them, clear the cache "
                "first.)"
            )
        if self.empty:
            notes.append(
                f"{', '.join(self.empty)}: no stage, since they already have the values of a new "
                "network."
            )
        return notes
