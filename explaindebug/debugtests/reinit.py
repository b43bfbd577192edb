"""Whether maps show that the weights of some layers were lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from explaindebug.cascade.config import Cascade
from explaindebug.cascade.runner import NONE, Measurement, check_options
from explaindebug.core.errors import ConfigError
from explaindebug.core.validation import whole
from explaindebug.debugtests.base import Arms, DebugTest
from explaindebug.debugtests.explain import Measured
from explaindebug.debugtests.measure import Measure
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.results import Headline


@dataclass(frozen=True, eq=False)
class Reinit(DebugTest):
    """Maps while layer after layer is re-initialised, against those of the trained network.

    The network with the bug is the trained one: the test makes the bug. Its control is itself, its
    inputs under a little noise; `control` networks, trained with other seeds, are shown beside.

    Args:
        layers: the stage of the verdict, counted from 1; 0 where nothing is lost.
        how: order, layers, initialisation and draws of the cascade.
        noise: standard deviation of the control's noise, as a fraction of each input's range.
        bins: of the histogram whose entropy is a map's complexity.

    Raises:
        ConfigError: for a negative number of layers.

    Source: Adebayo et al. 2020, section 4 and Figure 7.
    """

    name = "reinit"
    title = "Re-initialised weights"

    layers: int = 3
    how: Cascade = field(default_factory=Cascade)
    noise: float = 0.01
    bins: int = 100

    def __post_init__(self) -> None:
        whole("layers", self.layers, least=0)
        check_options(self.noise, self.bins)
        if self.layers == 0:
            object.__setattr__(self, "how", replace(self.how, most=0))

    def headline(self, stages: Sequence[str]) -> Headline:
        return headline(stages, self.layers, self.how.order)

    def check(self, arms: Arms, probe: Probe) -> None:
        """Refuse more layers than there are.

        Raises:
            ConfigError: with the number that there is.
        """
        super().check(arms, probe)
        count = len(self.how.stages(arms.bug[0], probe.image[:1]))
        if self.layers > count:
            raise ConfigError(
                f"layers={self.layers}, but the network has {count} layers with weights."
            )

    def pairs(self, arms: Arms, probe: Probe, measure: Measure) -> Iterator[Measured]:
        """Every stage against the trained network; the control and the twins against it, too."""
        rows = probe.row.cpu().numpy().astype(np.int64)
        targets = probe.label if measure.target == "label" else None
        measurement = Measurement(
            self.how,
            measure.explain.plan,
            measure.comparison,
            self.noise,
            self.bins,
            references=measure.explain.references,
            test=measure.test,
            chunk=measure.explain.chunk,
            workers=measure.explain.workers,
            progress=measure.explain.progress,
        )
        for part in measurement(arms.bug[0], probe.image, rows, targets, arms.control):
            yield Measured(part.scores, part.missing, part.warnings, stages=list(part.stages))
            if part.shown is not None:
                name, maps = part.shown
                some = probe.select(torch.from_numpy(part.places))
                yield measure.show(name, some, some.image, maps)


def headline(stages: Sequence[str], layers: int, order: str) -> Headline:
    """The verdict's question, at the stage where so many layers are lost."""
    stage = stages[layers - 1] if layers else NONE
    if order == "independent":
        lost = f"{stage} alone is lost"
    else:
        end, way = ("top", "down") if order == "top_down" else ("bottom", "up")
        lost = f"the {end} {layers} layers ({way} to {stage}) are lost"
    return Headline(stage, "spearman", "down", f"Does the map change when {lost}?")
