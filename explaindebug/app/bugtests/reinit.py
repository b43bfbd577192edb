"""The weights of some layers are lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from torch import nn

from explaindebug.app.bugtests.base import BATCH, CLEAN, TWIN, BugTest
from explaindebug.app.progress import Bar
from explaindebug.app.session import Wanted, Workbench
from explaindebug.bugs.reinitialisation import Stage
from explaindebug.callbacks import ReinitCascade
from explaindebug.cascade import Cascaded
from explaindebug.core.errors import ConfigError
from explaindebug.core.validation import whole
from explaindebug.datamodules.loading import loader
from explaindebug.debugtests.reinit import headline
from explaindebug.evaluation.results import TestResult
from explaindebug.evaluation.scores import Floats


@dataclass(frozen=True)
class Reinit(BugTest):
    """The weights of the top layers are lost.

    Source: Adebayo et al. 2020, section 4.
    """

    name: ClassVar[str] = "reinit"
    title: ClassVar[str] = "Re-initialised weights"

    layers: int = 3
    order: str = "top_down"
    depth: int | None = None
    init: str = "layer_default"
    draws: int = 1
    retake: bool = False
    smooth: int = 0
    noise: float = 0.01
    twin: bool = True  # a network trained with another seed is shown beside

    def __post_init__(self) -> None:
        whole("bug.reinit.layers", self.layers, least=0)
        self._callback()

    def check(self, bench: Workbench) -> None:
        """The network has as many layers as are to be re-initialised."""
        bench.data().probe(bench.settings.probe)
        count = len(self._stages(bench, bench.build("data")))
        if self.layers > count:
            raise ConfigError(
                f"bug.reinit.layers={self.layers}, but the network has {count} layers with weights."
            )

    def networks(self) -> Sequence[Wanted]:
        """The trained network, and one trained with another seed."""
        return [CLEAN, TWIN] if self.twin else [CLEAN]

    def calls(self, bench: Workbench) -> int:
        """The trained, the noisy, the twin, and every stage of every draw."""
        found = self._stages(bench, bench.network(CLEAN))
        return 2 + self.twin + (self.draws * len(found) if self.layers else 1)

    def _stages(self, bench: Workbench, network: nn.Module) -> Sequence[Stage]:
        how = replace(self._callback().how, most=None)
        return how.stages(network, bench.data().clean.test.batch([0]).image)

    def _callback(self, **options: Any) -> ReinitCascade:
        return ReinitCascade(
            order=self.order,
            depth=self.depth,
            init=self.init,
            draws=self.draws,
            retake=self.retake,
            smooth=self.smooth,
            noise=self.noise,
            most=None if self.layers else 0,
            **options,
        )

    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """The cascade against the trained network."""
        twin = bench.network(TWIN) if self.twin else None
        callback = self._callback(twin=twin, **bench.options("data", bar))
        probe = bench.data().probe(bench.settings.probe)
        bench.measure(callback, bench.network(CLEAN), loader(probe, batch_size=BATCH), self.name)
        asked = headline(callback.stages, self.layers, self.order)
        cascaded = callback.cascaded
        facts = {"initialisation": self.init, "noise of the control": self.noise}
        if self.layers:
            facts |= self._facts(cascaded, asked.condition)
        agreement = {stage: cascaded.mean_drift("agreement", stage) for stage in cascaded.stages}
        more = {"stages": cascaded.stages, "agreement": agreement, "facts": facts}
        return replace(self.result(callback, asked, **more), scores=cascaded.scores)

    def _facts(self, cascaded: Cascaded, stage: str) -> dict[str, Any]:
        """How far the network itself has changed, and what becomes of maps at the last stage."""
        kept = cascaded.mean_drift("agreement", stage)
        rises = {m: known(cascaded.efficient(m)) for m in cascaded.methods}
        said = ", ".join(f"{m} {rise.mean():+.2f}" for m, rise in rises.items() if len(rise))
        return {
            f"predictions that stay as they were at {stage}": round(kept, 3),
            f"rise of the maps' entropy at {cascaded.stages[-1]}": said,
        }


def known(values: Floats) -> Floats:
    """Those of the values (n,) that are numbers: none of a method whose maps are all broken."""
    return values[~np.isnan(values)]
