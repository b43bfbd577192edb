"""Measurement in a debugging test: explains inputs, compares maps, and keeps some to draw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.debugtests.explain import Explain, Maps, Measured
from explaindebug.debugtests.panels import panels, shown
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.comparison import Comparison, Reference
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Unscored

# Method -> reference of its maps. References cache what similarities derive from them, several
# times the size of the maps: if used only once, make them when needed and drop them.
References = Callable[[str], Reference]


@dataclass(frozen=True, eq=False)
class Measure:
    """Explains inputs and scores the maps under the name of one test."""

    test: str
    explain: Explain
    comparison: Comparison
    target: str = "predicted"  # the class to explain: the "predicted" one or the "label"
    shown: Sequence[int] = ()  # rows of inputs whose maps are kept for drawing
    picture: Callable[[Tensor], Tensor] = stretched  # normalised image -> (c, h, w) in [0, 1]

    @property
    def undrawn(self) -> "Measure":
        """The same, without keeping maps."""
        return replace(self, shown=())

    def targets(self, network: nn.Module, probe: Probe) -> Tensor:
        """The class (n,) to explain: the predicted one or the label."""
        if self.target == "label":
            return probe.label
        return predictions(network, probe.image, self.explain.chunk)

    def compare(
        self,
        condition: str,
        role: str,
        references: References,
        candidates: Maps,
        probe: Probe,
        *,
        comparison: Comparison | None = None,
    ) -> Measured:
        """The scores of every method's candidate maps against its reference."""
        how = comparison or self.comparison
        return compared(how, Key(self.test, "", condition, role), references, candidates, probe)

    def show(self, name: str, probe: Probe, images: Tensor, maps: Maps, arm: str = "") -> Measured:
        """The heat maps of a network, to draw as row `name`; `arm` if it belongs to one."""
        return shown(name, panels(probe, images, maps, self.shown, self.picture), arm)


def compared(
    comparison: Comparison, key: Key, references: References, candidates: Maps, probe: Probe
) -> Measured:
    """The scores of every method's candidate maps under `key`, its method filled in."""
    scores, missing = Scores(), list[Unscored]()
    rows = probe.row.cpu().numpy().astype(np.int64)
    for method, raw in candidates.items():
        own = key._replace(method=method)
        missing += comparison.score(scores, own, references(method), raw, rows, probe.image)
    return Measured(scores, missing)


def references(maps: Maps) -> References:
    """Every method's maps as references for several comparisons."""
    return {method: Reference.of_maps(raw) for method, raw in maps.items()}.__getitem__
