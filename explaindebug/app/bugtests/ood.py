"""The inputs are of a domain that the network never saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from explaindebug.app import detection as detecting
from explaindebug.app.bugtests.base import BATCH, CLEAN, TWIN, BugTest, at_least_none
from explaindebug.app.progress import Bar
from explaindebug.app.session import Wanted, Workbench, check_together
from explaindebug.callbacks import ReferenceSimilarity
from explaindebug.data import ImageSet
from explaindebug.datamodules.loading import loader
from explaindebug.debugtests.ood import HEADLINE
from explaindebug.evaluation.detection import Detector, detectors
from explaindebug.evaluation.results import TestResult


@dataclass(frozen=True)
class Ood(BugTest):
    """The inputs are of a domain that the network never saw.

    Source: Adebayo et al. 2020, section 5.
    """

    name: ClassVar[str] = "ood"
    title: ClassVar[str] = "Out of distribution"

    foreign: bool = True  # False: the network is one of the inputs' own domain, so there is no bug
    twin: bool = True  # a second network to debug: says how much such networks differ
    detect: int = 64  # inputs, half of them foreign, that detectors must tell apart

    def __post_init__(self) -> None:
        at_least_none("bug.ood.detect", self.detect)

    @property
    def _reference(self) -> Wanted:
        return Wanted("in-domain", "foreign")

    @property
    def _control(self) -> Wanted:
        return replace(self._reference, name="in-domain twin", twin=1)

    @property
    def _bugs(self) -> tuple[Wanted, ...]:
        """The networks to debug; one of the inputs' own domain where there is to be no bug."""
        if not self.foreign:
            return (replace(self._reference, name="in-domain third", twin=2),)
        return (CLEAN, TWIN) if self.twin else (CLEAN,)

    def check(self, bench: Workbench) -> None:
        """Both domains' networks must take both domains' inputs."""
        check_together(bench.data().clean.test, bench.data("foreign").clean.test)
        bench.data("foreign").probe(bench.settings.probe)

    def networks(self) -> Sequence[Wanted]:
        """A reference and a twin of the inputs' domain, and the networks to debug."""
        return [*self._bugs, self._reference, self._control]

    def calls(self, bench: Workbench) -> int:
        """The reference, its twin, the networks to debug, and the detectors' inputs."""
        return 2 + len(self._bugs) + detecting.calls(len(self._inputs(bench)[0]))

    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """Similarity to the maps of the network of the inputs' own domain."""
        bug, *replicates = (bench.network(want) for want in self._bugs)
        callback = ReferenceSimilarity(
            test=self.name,
            condition=HEADLINE.condition,
            reference=bench.network(self._reference),
            control=bench.network(self._control),
            replicates=replicates,
            own_target=True,
            **bench.options("foreign", bar),
        )
        probe = bench.data("foreign").probe(bench.settings.probe)
        bench.measure(callback, bug, loader(probe, batch_size=BATCH), self.name)
        facts = {
            "network to debug": bench.architecture(self._bugs[0].domain).words,
            "network of the inputs' domain": bench.architecture("foreign").words,
        }
        found = self._detectors(bench, bar)
        return self.result(callback, HEADLINE, facts=facts, detectors=found)

    def _inputs(self, bench: Workbench) -> tuple[Tensor, npt.NDArray[np.bool_]]:
        """Test inputs (n, c, h, w), half of them foreign to the network that is debugged.

        With `foreign=False` both halves are of one domain, so that nothing can tell them.
        """
        other: ImageSet = bench.data("foreign").clean.test
        own: ImageSet = bench.data().clean.test if self.foreign else other
        half = min(self.detect // 2, len(own) if self.foreign else len(own) // 2, len(other))
        start = 0 if self.foreign else half
        parts = [other.batch(slice(half)).image, own.batch(slice(start, start + half)).image]
        return torch.cat(parts), np.arange(2 * half) < half

    def _detectors(self, bench: Workbench, bar: Bar) -> list[Detector]:
        """Confidence and map statistics against which inputs are foreign."""
        if not self.detect:
            return []
        bug = self._bugs[0]
        images, foreign = self._inputs(bench)
        return detectors(
            {
                **detecting.of_confidence(bench.network(bug), images),
                **detecting.of_maps(bench, bug, images, bar),
            },
            foreign,
            test=self.name,
            finds="foreign inputs",
            accept=True,
            seed=bench.settings.seed,
        )
