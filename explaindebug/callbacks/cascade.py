"""Does the map change when the weights are lost? Re-initialisation, layer after layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from explaindebug.callbacks.comparing import ComparingCallback, arms, references
from explaindebug.callbacks.loggers import Sinks
from explaindebug.callbacks.measuring import Explain, Measured
from explaindebug.callbacks.probe import Probe
from explaindebug.errors import ConfigError
from explaindebug.reinitialisation import Stage, layers, reinitialised, stages

NONE = "none"  # the condition under which nothing is re-initialised


class ReinitCascade(ComparingCallback):
    """Similarity of maps to the trained network's while its layers are re-initialised from the top.

    Logs `debug/reinit/<method>/<similarity>/<layer>` for every stage: that layer and all above it
    are re-initialised. A stage's new weights are drawn from generators of their own, by
    (seed, layer), so that later stages keep the weights of earlier ones. The class explained is the
    one that the trained network predicts.

    The control is the trained network itself under other noise: its maps of the inputs with a
    little Gaussian noise added. `twin`, a network trained with another seed, is shown beside it.

    Args:
        attributions: see `ComparingCallback`, as all other arguments.
        init: `layer_default`, `glorot` (the paper's), `torchvision` or `permute_weights`.
        noise: standard deviation of the control's noise, as a fraction of each input's range.
        twin: the same network trained with another seed.
        most: only the first stages, from the top; all where not given. With 0 nothing is lost: the
            condition `none` compares the trained network under two draws of noise, as a false alarm.

    Raises:
        UnsupportedModelError: for a network without parameters.

    Source: Adebayo et al. 2020, section 4 and Figure 7.
    """

    test = "reinit"

    def __init__(
        self,
        *args: Any,
        init: str = "layer_default",
        noise: float = 0.01,
        twin: nn.Module | None = None,
        most: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if noise <= 0:
            raise ConfigError(f"noise must be above 0 (a fraction of the range), got {noise}.")
        if most is not None and most < 0:
            raise ConfigError(f"most is a number of stages, got {most}.")
        self.init, self.noise, self.twin, self.most = init, noise, twin, most
        self.stages: list[str] = []

    def measure(self, network: nn.Module, probe: Probe, explain: Explain) -> Iterator[Measured]:
        """Every stage against the trained network; the control and the twin against it, too."""
        targets = self.targets(network, probe)
        maps = explain(network, probe.image, targets)
        known = references(maps)
        yield self._show("trained", probe, probe.image, maps)
        found = self._stages(network, probe.image[:1])
        self.stages = [stage.name for stage in found]
        noisy = explain(network, self._noisy(probe), targets)
        for stage in found:
            yield self.compare(stage.name, "control", known, noisy, probe)
        if self.most == 0:
            yield self.compare(NONE, "control", known, noisy, probe)
            again = explain(network, self._noisy(probe, draw=1), targets)
            yield self.compare(NONE, "bug", known, again, probe)
        for role, twin in arms("control", self.twin, probe.image.device):
            other = explain(twin, probe.image, targets)
            yield self.compare("twin", role, known, other, probe)
        for stage in found:
            with reinitialised(network, stage.layers, seed=self.seed, init=self.init) as report:
                maps = explain(network, probe.image, targets, prepared_on=network)
            yield self.compare(stage.name, "bug", known, maps, probe)
            yield self._show(stage.name, probe, probe.image, maps)
        if found and report.left:
            yield Measured(warnings=[str(report)])

    def _stages(self, network: nn.Module, example: Tensor) -> list[Stage]:
        return stages(layers(network, example), order="top_down")[: self.most]

    def _noisy(self, probe: Probe, draw: int = 0) -> Tensor:
        """The inputs under noise that depends on (seed, draw, row) alone."""
        images = probe.image.clone()
        for image, row in zip(images, probe.row.tolist(), strict=True):
            generator = torch.Generator().manual_seed(_mixed(self.seed, draw, row))
            noise = torch.randn(image.shape, generator=generator).to(image)
            image += self.noise * (image.amax() - image.amin()) * noise
        return images

    def log_more(self, trainer: Any, sinks: Sinks) -> None:
        """The table, and one chart of all methods' curves per similarity."""
        super().log_more(trainer, sinks)
        if not self.stages:
            return
        for similarity in self.comparison.measures:
            curves: dict[str, list[float]] = {}
            for key, column in self.scores.select(role="bug", similarity=similarity):
                known = column.values[~np.isnan(column.values)]
                mean = float(known.mean()) if len(known) else float("nan")
                curves.setdefault(key.method, []).append(mean)
            sinks.curves(
                f"debug/{self.test}/{similarity}",
                list(range(1, len(self.stages) + 1)),
                curves,
                title=f"{similarity} to the trained network",
                xname="re-initialised layers, from the top",
            )


def _mixed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0])
