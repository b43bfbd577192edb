"""Heat maps of the same inputs at every validation."""

from collections.abc import Iterator
from typing import Unpack

from torch import nn

from explaindebug.callbacks.base import AttributionCallback
from explaindebug.callbacks.options import METHODS, Attributions, SharedOptions, unknown_option
from explaindebug.debugtests.explain import Explain, Measured
from explaindebug.debugtests.probe import Probe


class HeatmapLogger(AttributionCallback):
    """Heat maps of a few inputs, one strip per method and epoch, without comparisons.

    Logs `debug/heatmaps/maps` to loggers that support pictures (W&B, TensorBoard, MLflow), or
    writes PNG files. All inputs of the `probe` are drawn.

    Args:
        attributions, probe, options: see `AttributionCallback`.
    """

    test = "heatmaps"

    def __init__(
        self,
        attributions: Attributions = METHODS,
        *,
        probe: int = 4,
        **options: Unpack[SharedOptions],
    ) -> None:
        if "pictures" in options:  # all inputs of the probe are drawn
            raise unknown_option(type(self), "pictures")
        super().__init__(attributions, probe=probe, pictures=probe, **options)

    def measure(self, network: nn.Module, probe: Probe, explain: Explain) -> Iterator[Measured]:
        """Explain the class that the network predicts, or the label."""
        maps = explain(network, probe.image, self.targets(network, probe))
        yield self._show("this model", probe, probe.image, maps)
