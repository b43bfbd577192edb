"""In which steps a network loses its weights."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from explaindebug.attributions.inputs import channels_last
from explaindebug.attributions.plan import Plan
from explaindebug.cascade.states import TRAINED, Smoothing, State
from explaindebug.cascade.walk import Walk
from explaindebug.checks import whole
from explaindebug.initialisers import Initialiser, initialiser
from explaindebug.layers import Layer, Stage, check_order, grouped, layers, stages
from explaindebug.reinitialisation import Report, fresh


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
        """
        channels_last(model)
        found = self.layers(model, example)
        steps = stages(found, self.order)[: self.most]
        states, report = self._states(model, steps)
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
            report=report,
            unused=tuple(layer.name for layer in found if not layer.used),
        )

    def _states(self, model: nn.Module, steps: list[Stage]) -> tuple[list[State], Report | None]:
        """Every stage of every draw; each layer is drawn once for a whole draw."""
        states: list[State] = []
        report = None
        everything = list(dict.fromkeys(name for stage in steps for name in stage.layers))
        for draw in range(self.draws if steps else 0):
            new = fresh(model, everything, seed=self.seed, draw=draw, init=self.init)
            states += [State(s.name, draw, new.of(s.layers)) for s in steps]
            report = report or new.report
        return states, report


class Prepared(NamedTuple):
    """A cascade that is ready to be walked with any images."""

    stages: tuple[str, ...]
    walk: Walk  # through the trained network, and all stages of all draws
    still: Walk  # the trained network alone
    report: Report | None  # of the first draw; None without any stage
    unused: tuple[str, ...]  # layers that no image meets: losing them would change nothing

    @property
    def notes(self) -> list[str]:
        """What stays as trained, and why: a sentence each."""
        said = []
        if self.report is not None and self.report.left:
            said.append(str(self.report))
        if self.unused:
            said.append(
                f"no image meets {', '.join(self.unused)}: they are in no stage, since losing them "
                "would change nothing."
            )
        return said
