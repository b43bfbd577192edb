"""The four debugging tests of the paper: which networks, which inputs, and what "shows" means.

Every test compares two arms on the same inputs. The bug arm has a network with the bug, the control
arm one without; both were trained with other seeds than the reference, so that without a bug the
two arms could be exchanged, and what differs between them is the bug.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explaindebug.app import detecting
from explaindebug.app.progress import Bar
from explaindebug.app.workbench import Wanted, Workbench, check_together
from explaindebug.bugs import BUGS
from explaindebug.bugs.labels import LabelFlips
from explaindebug.bugs.signal import SpuriousSignal
from explaindebug.callbacks import (
    ComparingCallback,
    ReferenceSimilarity,
    ReinitCascade,
    SpuriousSimilarity,
)
from explaindebug.cascade import Cascaded
from explaindebug.cascade.measure import NONE
from explaindebug.data import ImageSet
from explaindebug.datamodules.base import balanced
from explaindebug.datamodules.loading import loader
from explaindebug.detectors import Detector, detectors
from explaindebug.errors import ConfigError
from explaindebug.followup import questions
from explaindebug.registry import nearest
from explaindebug.reinitialisation import Stage
from explaindebug.results import Gate, Headline, TestResult
from explaindebug.spuriousscore import SpuriousScore, spurious_score

CLEAN = Wanted("clean")
TWIN = Wanted("clean twin", twin=1)
BATCH = 32  # inputs that a trainer hands over at once
SCENE_GATE = 0.9  # share of scenes that must be classified without any object
SCORE_GATE = 0.85  # share of pictures that a signal must flip (Adebayo et al. 2022)
NOT_LEARNED = "the network has not learned the signal, so no map should show that it has"


class BugTest(ABC):
    """One debugging test, as the application runs it."""

    name: ClassVar[str]  # as in configs, keys and tables
    title: ClassVar[str]
    explanations: ClassVar[int] = 0  # calls to explain, for the progress bar

    @abstractmethod
    def check(self, bench: Workbench) -> None:
        """Refuse data that the test can't use, before anything is trained."""

    @abstractmethod
    def networks(self) -> Sequence[Wanted]:
        """The networks that must be trained."""

    @abstractmethod
    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """Measure."""

    def calls(self, bench: Workbench) -> int:
        """How often all methods are run, for the progress bar."""
        return self.explanations

    def result(self, callback: ComparingCallback, headline: Headline, **more: Any) -> TestResult:
        """What a measured callback holds, as the test's result."""
        return TestResult(
            self.name,
            self.title,
            headline,
            callback.scores,
            galleries=callback.galleries,
            warnings=tuple(callback.warnings),
            **more,
        )


@dataclass(frozen=True)
class Spurious(BugTest):
    """The network learned a signal that has nothing to do with the object.

    All networks see the same test pictures, each with the signal. `signal` is one of the bugs that
    are `SpuriousSignal`s, by name or as {name: options}; `feather` belongs to "background".

    Source: Adebayo et al. 2020, section 3.1; the follow-up's questions and signals: 2022.
    """

    name: ClassVar[str] = "spurious"
    title: ClassVar[str] = "Spurious background"

    signal: str | dict[str, Any] = "background"
    fraction: float = 1.0
    feather: float = 0.01
    ccm: int = 24  # pictures without the signal, on which it is asked for cause for concern

    def __post_init__(self) -> None:
        if self.ccm < 0:
            raise ConfigError(f"bug.spurious.ccm={self.ccm}: 0 for none, or how many pictures.")

    @property
    def _bug(self) -> SpuriousSignal:
        spec = {self.signal: {}} if isinstance(self.signal, str) else self.signal
        own = {"feather": self.feather} if "background" in spec else {}
        given = {n: {"fraction": self.fraction, **own, **(o or {})} for n, o in spec.items()}
        known = [n for n in BUGS if issubclass(BUGS[n], SpuriousSignal)]
        for name in spec:
            if name not in known:
                raise ConfigError(
                    f"bug.spurious.signal: unknown signal {name!r}.{nearest(name, known)} "
                    f"Known: {', '.join(known)}."
                )
        bug: SpuriousSignal = BUGS.build(given)
        return bug

    @property
    def _trained(self) -> Wanted:
        return Wanted("spurious", bug=self._bug, twin=2)

    def check(self, bench: Workbench) -> None:
        """Masks, scenes or classes as the signal needs them, and pictures enough."""
        module = bench.data("data", self._bug)
        module.check()
        module.probe(bench.settings.probe)
        if self.ccm:
            bench.data().probe(self.ccm)

    def networks(self) -> Sequence[Wanted]:
        """The network to debug, and two clean ones on the same inputs."""
        return [CLEAN, TWIN, self._trained]

    def calls(self, bench: Workbench) -> int:
        """Three networks' maps of pictures and of scenes, and of pictures without the signal."""
        return 6 + (3 if self.ccm else 0)

    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """Share of the attribution on the signal, GT-1 and GT-2, and the follow-up's questions."""
        module = bench.data("data", self._bug)
        bench.record(self._trained)
        bench.accuracy(self._trained, "without the bug", bench.data().clean.test)
        bench.accuracy(CLEAN, "with spurious signals", module.data.test)
        gate, facts = self._reliance(bench)
        callback = SpuriousSimilarity(
            control=[bench.network(CLEAN), bench.network(TWIN)], **bench.options("data", bar)
        )
        probe = module.probe_dataloader(bench.settings.probe)
        bench.measure(callback, bench.network(self._trained), probe, self.name)
        headline = Headline(
            "share",
            "background",
            "up",
            "Does more of the map lie on the signal than under a clean network?",
        )
        result = self.result(callback, headline, gates=(gate,), facts=facts)
        result.title = self._bug.label
        if not self.ccm:
            return result
        ccm = self._ccm(bench, bar)
        measures = list(callback.comparison.measures)
        return replace(
            result,
            scores=result.scores + ccm.scores,
            warnings=(*result.warnings, *ccm.warnings),
            questions=questions("ssim" if "ssim" in measures else measures[0]),
        )

    def _reliance(self, bench: Workbench) -> tuple[Gate, dict[str, Any]]:
        """Whether the network learned the signal, and what a clean one makes of it."""
        test = bench.data("data", self._bug).data.test
        scores = {want: self._score(bench, want) for want in (self._trained, CLEAN)}
        facts = {
            "share of the class's training pictures with the signal": self.fraction,
            "spurious score": str(scores[self._trained]),
            "clean network's spurious score": str(scores[CLEAN]),
        }
        if self._bug.name == "background":
            alone, clean = (
                bench.accuracy(want, "scenes alone", test, scenes=True)
                for want in (self._trained, CLEAN)
            )
            facts["clean network's accuracy on scenes alone"] = round(clean, 3)
            gate = Gate("accuracy on scenes alone", alone, SCENE_GATE, NOT_LEARNED)
        else:
            gate = Gate("spurious score", scores[self._trained].value, SCORE_GATE, NOT_LEARNED)
        return gate, facts

    def _score(self, bench: Workbench, want: Wanted) -> SpuriousScore:
        """How often the signal flips what the network says of clean test pictures."""
        clean: ImageSet = bench.data().clean.test
        scenes = bench.data().scenes if "scenes" in self._bug.needs else {}
        after = {
            c: bench.predictions(want, self._bug.added(clean, c, scenes=scenes))
            for c in self._bug.classes(clean)
        }
        return spurious_score(bench.predictions(want, clean), after)

    def _ccm(self, bench: Workbench, bar: Bar) -> ComparingCallback:
        """Maps of pictures without the signal, against a clean network's."""
        options = {**bench.options("data", bar), "probe": self.ccm, "pictures": 0}
        callback = ReferenceSimilarity(
            test=self.name,
            condition="ccm",
            reference=bench.network(CLEAN),
            control=bench.network(TWIN),
            own_target=True,
            **options,
        )
        probe = loader(bench.data().probe(self.ccm), batch_size=BATCH)
        bench.measure(callback, bench.network(self._trained), probe, f"{self.name}-ccm")
        return callback


@dataclass(frozen=True)
class Labels(BugTest):
    """A share of the training labels was wrong.

    The inputs are training examples whose labels were flipped (with `rate=0` those that would be).

    Source: Adebayo et al. 2020, section 3.2.
    """

    name: ClassVar[str] = "labels"
    title: ClassVar[str] = "Mislabelled training examples"
    explanations: ClassVar[int] = 3

    rate: float = 0.1
    detect: int = 64  # training examples, half of them flipped, that detectors must tell apart

    def __post_init__(self) -> None:
        at_least_none("labels", self.detect)

    @property
    def _trained(self) -> Wanted:
        return Wanted("mislabelled", bug=LabelFlips(self.rate), twin=2)

    def check(self, bench: Workbench) -> None:
        """Flipped examples enough."""
        self._probe(bench)

    def networks(self) -> Sequence[Wanted]:
        """A clean reference, another clean network, and the one with wrong labels."""
        return [CLEAN, TWIN, self._trained]

    def calls(self, bench: Workbench) -> int:
        """Three networks' maps of the probe, and the maps of the detectors' examples."""
        return 3 + detecting.calls(len(self._suspects(bench)[0]))

    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """Similarity to the reference's maps, of the mislabelled and of the clean twin."""
        told: ImageSet = bench.data("data", self._trained.bug).data.train
        clean: ImageSet = bench.data().clean.train
        bench.record(self._trained)
        flipped = self._flipped(bench)
        right = bench.accuracy(self._trained, "flipped examples, right labels", flipped)
        bench.accuracy(self._trained, "training labels as told", told)
        bench.accuracy(self._trained, "training labels, right", clean)
        callback = ReferenceSimilarity(
            test=self.name,
            condition="flipped",
            reference=bench.network(CLEAN),
            control=bench.network(TWIN),
            **bench.options("data", bar),
        )
        probe = self._probe(bench)
        bench.measure(
            callback, bench.network(self._trained), loader(probe, batch_size=BATCH), self.name
        )
        headline = Headline(
            "flipped",
            "spearman",
            "down",
            "Are maps of mislabelled examples less like the reference's than a clean twin's are?",
        )
        facts = {
            "training labels flipped": int((told.labels != told.truth).sum()),
            "flipped examples that the network calls by their right class": round(right, 3),
        }
        found, said = self._detectors(bench, bar)
        result = self.result(callback, headline, facts=facts, detectors=found)
        return replace(result, warnings=(*result.warnings, *said))

    def _suspects(self, bench: Workbench) -> tuple[ImageSet, npt.NDArray[np.bool_]]:
        """Training examples as the network was told them, and which of them were flipped.

        With `rate=0` those that would be: their labels are right, so that nothing can tell them.
        """
        told: ImageSet = bench.data("data", self._trained.bug).data.train
        flipped = LabelFlips(self.rate or 0.1).struck(told)
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
        network = bench.network(self._trained)
        told, flipped = self._suspects(bench)
        of_labels, said = detecting.of_labels(network, told)
        maps = detecting.of_maps(
            network, told.batch(slice(None)).image, bench.settings, bench.references("data"), bar
        )
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
        return clean.subset(LabelFlips(self.rate or 0.1).struck(clean))

    def _probe(self, bench: Workbench) -> ImageSet:
        flipped = self._flipped(bench)
        count = bench.settings.probe
        return flipped.subset(balanced(flipped.truth, count, flipped.classes, "flipped"))


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

    def __post_init__(self) -> None:
        if self.layers < 0:
            raise ConfigError(f"bug.reinit.layers is {self.layers}, must be at least 0.")
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
        return [CLEAN, TWIN]

    def calls(self, bench: Workbench) -> int:
        """The trained, the noisy, the twin, and every stage of every draw."""
        found = self._stages(bench, bench.network(CLEAN))
        return 3 + (self.draws * len(found) if self.layers else 1)

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
        callback = self._callback(twin=bench.network(TWIN), **bench.options("data", bar))
        probe = bench.data().probe(bench.settings.probe)
        bench.measure(callback, bench.network(CLEAN), loader(probe, batch_size=BATCH), self.name)
        stage = callback.stages[self.layers - 1] if self.layers else NONE
        headline = Headline(
            stage, "spearman", "down", f"Does the map change when {self._lost(stage)}?"
        )
        cascaded = callback.cascaded
        facts = {"initialisation": self.init, "noise of the control": self.noise}
        if self.layers:
            facts |= self._facts(cascaded, stage)
        result = self.result(callback, headline, stages=cascaded.stages, facts=facts)
        return replace(result, scores=cascaded.scores)

    def _lost(self, stage: str) -> str:
        """What the verdict's stage has lost, as a clause."""
        if self.order == "independent":
            return f"{stage} alone is lost"
        end, way = ("top", "down") if self.order == "top_down" else ("bottom", "up")
        return f"the {end} {self.layers} layers ({way} to {stage}) are lost"

    def _facts(self, cascaded: Cascaded, stage: str) -> dict[str, Any]:
        """How far the network itself has changed, and what becomes of maps at the last stage."""
        kept = cascaded.mean_drift("agreement", stage)
        rises = {m: float(np.nanmean(cascaded.efficient(m))) for m in cascaded.methods}
        said = ", ".join(f"{method} {value:+.2f}" for method, value in rises.items())
        return {
            f"predictions that stay as they were at {stage}": round(kept, 3),
            f"rise of the maps' entropy at {cascaded.stages[-1]}": said,
        }


@dataclass(frozen=True)
class Ood(BugTest):
    """The inputs are of a domain that the network never saw.

    Source: Adebayo et al. 2020, section 5.
    """

    name: ClassVar[str] = "ood"
    title: ClassVar[str] = "Out of distribution"

    foreign: bool = True  # False: the network is one of the inputs' own domain, so there is no bug
    detect: int = 64  # inputs, half of them foreign, that detectors must tell apart

    def __post_init__(self) -> None:
        at_least_none("ood", self.detect)

    @property
    def _reference(self) -> Wanted:
        return Wanted("in-domain", "foreign")

    @property
    def _control(self) -> Wanted:
        return replace(self._reference, name="in-domain twin", twin=1)

    @property
    def _bugs(self) -> tuple[Wanted, ...]:
        """Two networks to debug: it costs no training, and says how much such networks differ."""
        other = replace(self._reference, name="in-domain third", twin=2)
        return (CLEAN, TWIN) if self.foreign else (other,)

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
            condition="foreign",
            reference=bench.network(self._reference),
            control=bench.network(self._control),
            replicates=replicates,
            own_target=True,
            **bench.options("foreign", bar),
        )
        probe = bench.data("foreign").probe(bench.settings.probe)
        bench.measure(callback, bug, loader(probe, batch_size=BATCH), self.name)
        headline = Headline(
            "foreign",
            "spearman",
            "down",
            "Are maps less like those of the inputs' own network than its twin's are?",
        )
        return self.result(callback, headline, detectors=self._detectors(bench, bar))

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
        network, references = bench.network(bug), bench.references(bug.domain)
        return detectors(
            {
                **detecting.of_confidence(network, images),
                **detecting.of_maps(network, images, bench.settings, references, bar),
            },
            foreign,
            test=self.name,
            finds="foreign inputs",
            accept=True,
            seed=bench.settings.seed,
        )


def at_least_none(test: str, detect: int) -> None:
    """Raises ConfigError for fewer examples than none."""
    if detect < 0:
        raise ConfigError(f"bug.{test}.detect={detect}: 0 for no detectors, or how many examples.")
