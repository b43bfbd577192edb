"""A share of the training labels was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from explaindebug.app import detection as detecting
from explaindebug.app.bugtests.base import BATCH, CLEAN, TWIN, BugTest, at_least_none
from explaindebug.app.progress import Bar
from explaindebug.app.session import Wanted, Workbench
from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.callbacks import ReferenceSimilarity
from explaindebug.data import ImageSet
from explaindebug.datamodules.base import balanced
from explaindebug.datamodules.loading import loader
from explaindebug.debugtests.labels import HEADLINE
from explaindebug.evaluation.detection import Detector, detectors
from explaindebug.evaluation.results import Headline, TestResult


@dataclass(frozen=True)
class Labels(BugTest):
    """A share of the training labels was wrong.

    The inputs are training examples whose labels were flipped (with `rate=0` those that would be).
    The same networks on examples whose labels are right tell a change of those from one of all.

    Source: Adebayo et al. 2020, section 3.2.
    """

    name: ClassVar[str] = "labels"
    title: ClassVar[str] = "Mislabelled training examples"
    explanations: ClassVar[int] = 6

    rate: float = 0.1
    own_target: bool = False  # explain the class that each network predicts, not the reference's
    detect: int = 64  # training examples, half of them flipped, that detectors must tell apart

    def __post_init__(self) -> None:
        at_least_none("bug.labels.detect", self.detect)
        _ = LabelFlips(self.rate)  # what can't work is an error now

    @property
    def _trained(self) -> Wanted:
        return Wanted("mislabelled", bug=LabelFlips(self.rate), twin=2)

    def check(self, bench: Workbench) -> None:
        """Flipped examples enough, and others."""
        self._probe(bench)
        self._unflipped(bench)

    def networks(self) -> Sequence[Wanted]:
        """A clean reference, another clean network, and the one with wrong labels."""
        return [CLEAN, TWIN, self._trained]

    def calls(self, bench: Workbench) -> int:
        """Three networks' maps of both probes, and the maps of the detectors' examples."""
        return self.explanations + detecting.calls(len(self._suspects(bench)[0]))

    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """Similarity to the reference's maps, of the mislabelled and of the clean twin."""
        told: ImageSet = bench.data("data", self._trained.bug).data.train
        clean: ImageSet = bench.data().clean.train
        bench.record(self._trained)
        flipped = self._flipped(bench)
        right = bench.accuracy(self._trained, "flipped examples, right labels", flipped)
        bench.accuracy(self._trained, "training labels as told", told)
        bench.accuracy(self._trained, "training labels, right", clean)
        callback = self._measured(bench, bar, HEADLINE.condition, self._probe(bench))
        others = self._measured(bench, bar, "unflipped", self._unflipped(bench), pictures=0)
        beside = Headline(
            "unflipped",
            "spearman",
            "down",
            "Are maps of rightly labelled examples less like the reference's, too?",
        )
        facts = {
            "training labels flipped": int((told.labels != told.truth).sum()),
            "flipped examples that the network calls by their right class": round(right, 3),
        }
        found, said = self._detectors(bench, bar)
        result = self.result(callback, HEADLINE, facts=facts, detectors=found, questions=(beside,))
        return replace(
            result,
            scores=callback.scores + others.scores,
            warnings=(*result.warnings, *others.warnings, *said),
            unscored=(*result.unscored, *others.unscored),
        )

    def _measured(
        self, bench: Workbench, bar: Bar, condition: str, examples: ImageSet, **own: Any
    ) -> ReferenceSimilarity:
        """The mislabelled network and the clean twin against the clean reference."""
        callback = ReferenceSimilarity(
            test=self.name,
            condition=condition,
            reference=bench.network(CLEAN),
            control=bench.network(TWIN),
            own_target=self.own_target,
            **bench.options("data", bar) | own,
        )
        batches = loader(examples, batch_size=BATCH)
        bench.measure(callback, bench.network(self._trained), batches, self.name)
        return callback

    def _unflipped(self, bench: Workbench) -> ImageSet:
        """As many examples whose labels are right."""
        clean: ImageSet = bench.data().clean.train
        flipped = LabelFlips(self.rate or 0.1).affected(clean)
        right = clean.subset(np.setdiff1d(np.arange(len(clean)), flipped))
        return right.subset(balanced(right.truth, bench.settings.probe, right.classes, "unflipped"))

    def _suspects(self, bench: Workbench) -> tuple[ImageSet, npt.NDArray[np.bool_]]:
        """Training examples as the network was told them, and which of them were flipped.

        With `rate=0` those that would be: their labels are right, so that nothing can tell them.
        """
        told: ImageSet = bench.data("data", self._trained.bug).data.train
        flipped = LabelFlips(self.rate or 0.1).affected(told)
        others = np.setdiff1d(np.arange(len(told)), flipped)
        half = min(self.detect // 2, len(flipped))
        ones, zeros = (
            detecting.picked(rows, many, bench.settings.seed)
            for rows, many in ((flipped, half), (others, self.detect - half))
        )
        return told.subset(np.r_[ones, zeros]), np.arange(len(ones) + len(zeros)) < len(ones)

    def _detectors(self, bench: Workbench, bar: Bar) -> tuple[list[Detector], list[str]]:
        """Loss, self-influence and map statistics against which labels were flipped."""
        if not self.detect:
            return [], []
        told, flipped = self._suspects(bench)
        of_labels, said = detecting.of_labels(bench.network(self._trained), told)
        maps = detecting.of_maps(bench, self._trained, told.batch(slice(None)).image, bar)
        found = detectors(
            {**of_labels, **maps},
            flipped,
            test=self.name,
            finds="flipped labels",
            rate=self.rate or 0.1,
            seed=bench.settings.seed,
        )
        return found, said

    def _flipped(self, bench: Workbench) -> ImageSet:
        clean: ImageSet = bench.data().clean.train
        return clean.subset(LabelFlips(self.rate or 0.1).affected(clean))

    def _probe(self, bench: Workbench) -> ImageSet:
        flipped = self._flipped(bench)
        count = bench.settings.probe
        return flipped.subset(balanced(flipped.truth, count, flipped.classes, "flipped"))
