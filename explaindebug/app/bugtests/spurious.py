"""The network learned a signal that has nothing to do with the object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from explaindebug.app.bugtests.base import BATCH, CLEAN, TWIN, BugTest, at_least_none
from explaindebug.app.progress import Bar
from explaindebug.app.session import Wanted, Workbench
from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import SpuriousSignal
from explaindebug.callbacks import ComparingCallback, ReferenceSimilarity, SpuriousSimilarity
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.data import ImageSet
from explaindebug.datamodules.loading import loader
from explaindebug.debugtests.spurious import HEADLINE, SCORE_GATE, UNLEARNED
from explaindebug.evaluation.follow_up import questions
from explaindebug.evaluation.results import Gate, TestResult
from explaindebug.evaluation.signal_reliance import SpuriousScore, spurious_score

SCENE_GATE = 0.9  # share of scenes that must be classified without any object


@dataclass(frozen=True)
class Spurious(BugTest):
    """The network learned a signal that has nothing to do with the object.

    All networks see the same test pictures, each with the signal. `signal` is one of the bugs that
    are `SpuriousSignal`s, by name or as {name: options}; `feather` belongs to "background".

    Source: Adebayo et al. 2020, section 3.1; the follow-up's questions and signals: 2022.
    """

    name: ClassVar[str] = "spurious"
    title: ClassVar[str] = "Spurious background"

    fraction: float = 1.0
    feather: float = 0.01
    signal: str | dict[str, Any] = "background"
    ccm: int = 24  # pictures without the signal, on which it is asked for cause for concern

    def __post_init__(self) -> None:
        at_least_none("bug.spurious.ccm", self.ccm)
        _ = self._bug  # what can't work is an error now

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
        result = self.result(callback, HEADLINE, gates=(gate,), facts=facts)
        result.title = self._bug.label
        if not self.ccm:
            return result
        ccm = self._ccm(bench, bar)
        measures = list(callback.comparison.measures)
        return replace(
            result,
            scores=result.scores + ccm.scores,
            warnings=(*result.warnings, *ccm.warnings),
            unscored=(*result.unscored, *ccm.unscored),
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
            gate = Gate("accuracy on scenes alone", alone, SCENE_GATE, self._unlearned)
        else:
            score = scores[self._trained].value
            gate = Gate("spurious score", score, SCORE_GATE, self._unlearned)
        return gate, facts

    @property
    def _unlearned(self) -> str:
        """What it means that the gate failed, and what would help."""
        ways = ["train longer (trainer.max_epochs)"]
        if self.fraction < 1:
            ways.append("put it into more pictures (bug.spurious.fraction)")
        if option := self._bug.strength_option:
            ways.append(f"make it more obvious (a larger {option} of {self._bug.name})")
        how = " or ".join(ways)
        return f"{UNLEARNED}: {how}"

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
