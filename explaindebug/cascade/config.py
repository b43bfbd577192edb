"""In which steps a network loses its weights."""

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
    """Which layers lose their weights, in which order, and how maps are made meanwhile.

    Args:
        order: `top_down` from the last layer to the first, each stage keeping what earlier ones
            have done; `bottom_up` the other way round; `independent` one layer at a time.
        depth: None for a stage per layer; 1 for one per block of the network (its children), 2 for
            the children of these, and so on.
        groups: layers that are one stage, by the stage's name: `{"head": ["fc", "layer4"]}`.
        init: where new weights come from: the layer's own `layer_default`, `glorot` (the paper's),
            `torchvision`, `permute_weights`, or a function, see `initialisers`.
        draws: how often new weights are drawn. Each draw is a network of its own.
        retake: explain the class that the network predicts at each stage, as the authors' code of
            2018 did, and not the class that it predicted when it was trained.
        smoothing: maps are means over noisy copies of the input (Smooth MPRT).
        most: only the first stages; all where not given.
        seed: of new weights: a layer's depend on (seed, draw, its name) alone.

    Raises:
        ConfigError: for an option that can't work.

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
            whole("depth", self.depth, least=1, hint="None is a stage per layer.")
        if self.most is not None:
            whole("most", self.most, least=0, hint="It is a number of stages.")

    def layers(self, model: nn.Module, example: Tensor) -> list[Layer]:
        """The layers or groups, first to last as an image (1, c, h, w) meets them."""
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
        """The cascade through a private model (see `watch`), its weights drawn, methods made ready.

        Methods with `references` (m, c, h, w) are made ready on the trained network, and for each
        stage from there: patterns that are `frozen` stay those of the trained network.

        Raises:
            UnsupportedModelError: for a model without parameters.
            ConfigError: where a stage would lose nothing.
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
            still=Walk(model, [TRAINED], [first], *how),
            report=draws[0].report if draws else None,
            unused=tuple(layer.name for layer in found if not layer.used),
            unread=tuple(name for layer in found for name in layer.unread),
            empty=empty,
        )

    def _draws(self, model: nn.Module, steps: list[Stage]) -> list[Fresh]:
        """New values of all layers; each layer is drawn once for a whole draw."""
        everything = list(dict.fromkeys(name for stage in steps for name in stage.layers))
        return [
            fresh(model, everything, seed=self.seed, draw=draw, init=self.init)
            for draw in range(self.draws if steps else 0)
        ]


def _lost(steps: list[Stage], new: Fresh) -> tuple[list[Stage], tuple[str, ...]]:
    """The stages in which something is lost, and the names of the others.

    The others are as in a new network already: frozen or never trained.

    Raises:
        ConfigError: for a stage in which all stays as trained because nothing has a rule for it,
            and where no stage is left.
    """
    empty = [step for step in steps if not new.lost.intersection(new.meant(step.layers))]
    for step in empty:
        kept = [name for layer in new.meant(step.layers) for name in new.left[layer]]
        if kept:
            raise ConfigError(
                f"stage {step.name} would lose nothing: init={new.report.init} gives no new values "
                f"to {', '.join(kept[:4])}, and maps of a network that has lost nothing say "
                "nothing. Use init=permute_weights, which needs values that are not all equal, or "
                "a function of your own; or join the layer with another one by groups=."
            )
    if steps and len(empty) == len(steps):
        raise ConfigError(
            f"no stage would lose anything: {', '.join(step.name for step in empty[:4])} have the "
            f"values already that init={new.report.init} gives. Is the network trained? Otherwise "
            "use another init, or another seed."
        )
    return [step for step in steps if step not in empty], tuple(step.name for step in empty)


class Prepared(NamedTuple):
    """A cascade that is ready to be walked with any images."""

    stages: tuple[str, ...]
    walk: Walk  # through the trained network, and all stages of all draws
    still: Walk  # the trained network alone
    report: Report | None  # of the first draw; None without any stage
    unused: tuple[str, ...]  # layers that no image meets: losing them would change nothing
    unread: tuple[str, ...]  # parameters of other layers that no forward pass reads
    empty: tuple[str, ...]  # stages that are left out, as there is nothing to lose

    @property
    def notes(self) -> list[str]:
        """What stays as trained, and why: a sentence each."""
        said = []
        if self.report is not None and self.report.left:
            said.append(str(self.report))
        if self.unused:
            said.append(
                f"no image meets {', '.join(self.unused)}: they are in no stage, since losing them "
                "would change nothing. (If the network keeps what it once computed from them, "
                "clear that first.)"
            )
        if self.unread:
            said.append(
                f"no forward pass reads {', '.join(self.unread)}: that they are lost changes "
                "nothing. If the network keeps what it once computed from them, clear that first."
            )
        if self.empty:
            said.append(
                f"{', '.join(self.empty)}: no stage, since nothing is lost there. The values are "
                "those of a new network already."
            )
        return said
