"""A signal does not stand for a class."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from explaindebug.audit.assertions._bytes import as_pictures
from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, beyond
from explaindebug.bugs.named_signals import Spec, signal_named
from explaindebug.bugs.spurious_signal import SpuriousSignal
from explaindebug.core.errors import ConfigError
from explaindebug.core.validation import number, whole
from explaindebug.data.imageset import ImageSet
from explaindebug.debugtests.probe import Probe
from explaindebug.debugtests.reliance import probabilities


@ASSERTIONS.register("no_shortcut")
@dataclass(frozen=True)
class NoShortcut(Assertion):
    """With the signal added, the class that it may stand for gains at most this much probability.

    Severity is the gain beyond: the input's spurious score. An input that is of that class already
    has none. `signal` is as in the test of spurious signals: `tag`, `stripes`, `blur` (with masks),
    `{image: {path: ...}}`, or a function of your own by its import path; black and white are the
    smallest and largest value of each channel. No maps are involved, so there is no null: compare
    with a `reference` that has not seen the signal, as any mark disturbs a network.

    Args:
        signal: what is added.
        toward: the index of the class.
        at_most: probability.

    Raises:
        ConfigError: for an unknown signal, or options that it does not have.

    Source: Adebayo et al. 2022, section 3.
    """

    name = "no_shortcut"

    signal: Spec = field(hash=False)
    toward: int
    at_most: float = 0.1

    def __post_init__(self) -> None:
        whole("no_shortcut: toward", self.toward, least=0, hint="It is the index of a class.")
        number("no_shortcut: at_most", self.at_most, least=0, most=1)
        _ = self._mark  # an invalid signal is an error now

    @cached_property
    def _mark(self) -> SpuriousSignal:
        return signal_named(self.signal, "no_shortcut: signal")

    @property
    def claim(self) -> str:
        signal = self._mark.title.removeprefix("Spurious ")
        return f"with a {signal}, class {self.toward} gains at most {self.at_most:g} of probability"

    def check(self, probe: Probe) -> None:
        """Raises ConfigError or DataError for inputs that the signal can't be added to."""
        super().check(probe)
        self._added(probe.select(slice(1)))

    def severity(self, case: Case) -> Tensor:
        outputs = 2 if case.logits.ndim == 1 else max(2, case.logits.shape[1])
        if self.toward >= outputs:
            raise ConfigError(
                f"no_shortcut: toward={self.toward}, but the network's classes are 0 to "
                f"{outputs - 1}."
            )
        images, target = case.probe.image, torch.full_like(case.targets, self.toward)
        before = probabilities(case.network, images, target, case.chunk)
        gain = probabilities(case.network, self._added(case.probe), target, case.chunk) - before
        return beyond(torch.where(case.targets == self.toward, torch.nan, gain), self.at_most)

    def _added(self, probe: Probe) -> Tensor:
        """The inputs with the signal; what is off the signal keeps its exact values."""
        images, signal = probe.image, self._mark
        pixels, back = as_pictures(images, f"no_shortcut: the signal {signal.name!r}")
        objects = None if probe.signal is None else ~probe.signal[:, 0].cpu().numpy()
        labels = np.zeros(len(pixels), np.int64)
        changed = signal.added(ImageSet(pixels, labels, ("any",), objects), 0)
        assert changed.signals is not None
        there = torch.from_numpy(changed.signals)[:, None].to(images.device)
        return torch.where(there, back(changed.pixels), images)
