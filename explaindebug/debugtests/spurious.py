"""Whether maps lie on the spurious signal that the network learned."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.debugtests.base import SHOWN, Arms, DebugTest, roles
from explaindebug.debugtests.explain import Maps, Measured
from explaindebug.debugtests.measure import Measure, references
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.comparison import Reference
from explaindebug.evaluation.follow_up import questions
from explaindebug.evaluation.results import Gate, Headline
from explaindebug.evaluation.roles import BUG, CONTROL, Role
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.signal_reliance import spurious_score

SCORE_GATE = 0.85  # share of inputs that a signal must flip (Adebayo et al. 2022)
UNLEARNED = "the network has not learned the signal, so no map should show it"
HEADLINE = Headline(
    "share",
    "background",
    "up",
    "Does more of the map lie on the signal than under a clean network?",
)


@dataclass(frozen=True, eq=False)
class Spurious(DebugTest):
    """Maps against where the spurious signal is, under the network and under clean ones.

    - `gt1`: similarity to 1 on the signal and 0 elsewhere (K-SSD of the follow-up);
    - `gt2`, where inputs have scenes: similarity to GT-1 times the same method's map of the scene;
    - `share`: the share of the map's attribution on the signal, which the verdict is about;
    - `fam`: the first control's maps against those of the network and of further controls.

    Args:
        signal: bool (n, 1, h, w), or (1, 1, h, w) for all inputs, True on the signal. None takes
            everything but the object, where inputs have masks.
        clean: the same inputs (n, c, h, w) without the signal, for the question whether maps of
            ordinary inputs give cause for concern (`ccm`: the network's maps of them against the
            first control's), and with `signal_class` for the gate.
        signal_class: the class that the signal stands for. Where `clean` is given, too, the test is
            void unless the signal turns enough of the network's predictions into that class.

    Raises:
        ConfigError: for a signal that is no boolean mask.

    Source: Adebayo et al. 2020, section 3.1 and Table 2; Adebayo et al. 2022, section 3.
    """

    name = "spurious"
    title = "Spurious signal"
    similarity = HEADLINE.similarity
    measures = (HEADLINE.similarity,)

    signal: Tensor | None = None
    clean: Tensor | None = None
    signal_class: int | None = None

    def __post_init__(self) -> None:
        s = self.signal
        if s is not None and (s.ndim != 4 or s.shape[1] != 1 or s.dtype != torch.bool):
            raise ConfigError(
                f"signal is {s.dtype} {tuple(s.shape)}, but must be a boolean mask (n, 1, h, w), "
                "True on the signal."
            )

    def headline(self, stages: Sequence[str]) -> Headline:
        return HEADLINE

    def check(self, arms: Arms, probe: Probe) -> None:
        """Refuse inputs whose signal is not known.

        Raises:
            DataError: with what to give.
        """
        super().check(arms, probe)
        if self.signal is None and probe.mask is None:
            raise DataError(
                "where the spurious signal is, is not known: give Spurious(signal=mask), True on "
                "the signal, or inputs with masks of their objects."
            )
        if self.signal is not None:
            n, (h, w) = len(probe.image), probe.image.shape[-2:]
            if self.signal.shape not in ((n, 1, h, w), (1, 1, h, w)):
                raise DataError(
                    f"signal is {tuple(self.signal.shape)} for images {tuple(probe.image.shape)}: "
                    f"({n}, 1, {h}, {w}) or (1, 1, {h}, {w}) is needed."
                )
        if self.clean is not None and self.clean.shape != probe.image.shape:
            raise DataError(
                f"clean is {tuple(self.clean.shape)}, but must hold the same inputs without the "
                f"signal, {tuple(probe.image.shape)}."
            )
        empty = [i for i, on in enumerate(self._signal(probe).flatten(1).any(1).tolist()) if not on]
        if empty:
            raise DataError(
                f"inputs {empty[:5]} have no pixel of the signal. Leave them out, or check that "
                "the mask is True on the signal."
            )

    def gates(self, arms: Arms, probe: Probe, chunk: int) -> Sequence[Gate]:
        """That adding the signal turns the network's predictions, where that can be known."""
        if self.clean is None or self.signal_class is None:
            return ()
        clean = self.clean.to(probe.image)
        before, after = (predictions(arms.bug[0], x, chunk).cpu() for x in (clean, probe.image))
        score = spurious_score(before.numpy(), {self.signal_class: after.numpy()})
        return (Gate("spurious score", score.value, SCORE_GATE, UNLEARNED),)

    def questions(self, scores: Scores) -> Sequence[Headline]:
        """The follow-up's, as far as they were measured."""
        measured = {(key.condition, key.similarity) for key, _ in scores}
        similarities = [key.similarity for key, _ in scores.select(condition="gt1")]
        one = "ssim" if "ssim" in similarities else similarities[0]
        return [q for q in questions(one) if (q.condition, q.similarity) in measured]

    def pairs(self, arms: Arms, probe: Probe, measure: Measure) -> Iterator[Measured]:
        """GT-1, GT-2 and the share on the signal, for both arms; FAM."""
        bug: list[Maps] = []
        for role, network in roles(BUG, arms.bug):
            bug.append((yield from self._arm(role, network, probe, measure)))
        good: list[Maps] = []
        for role, network in roles(CONTROL, arms.control):
            good.append((yield from self._arm(role, network, probe, measure)))
        if good:
            first, *others = good
            alike = Reference.of_maps
            for k, maps in enumerate([bug[0], *others]):
                role = str(Role(CONTROL, k)) if k else BUG
                yield measure.compare("fam", role, lambda m: alike(first[m]), maps, probe)
        if good and self.clean is not None:
            yield from self._ccm(arms, probe._replace(image=self.clean.to(probe.image)), measure)

    def _ccm(self, arms: Arms, clean: Probe, measure: Measure) -> Iterator[Measured]:
        """Maps of inputs without the signal, against the first control's."""
        first, *others = arms.control
        known = references(measure.explain(first, clean.image, measure.targets(first, clean)))
        for role, network in chain(roles(BUG, arms.bug), roles(CONTROL, others)):
            maps = measure.explain(network, clean.image, measure.targets(network, clean))
            yield measure.compare("ccm", role, known, maps, clean)

    def _arm(
        self, role: str, network: nn.Module, probe: Probe, measure: Measure
    ) -> Generator[Measured, None, Maps]:
        signal = self._signal(probe)
        targets = measure.targets(network, probe)
        maps = measure.explain(network, probe.image, targets)
        gt1 = Reference.of_mask(signal)
        yield measure.compare("gt1", role, lambda _: gt1, maps, probe)
        if probe.scene is not None:
            scenes = measure.explain(network, probe.scene, targets)
            yield measure.compare(
                "gt2", role, lambda m: Reference.of_masked_maps(scenes[m], signal), maps, probe
            )
        share = replace(measure.comparison, similarities=self.measures)
        yield measure.compare("share", role, lambda _: gt1, maps, probe, comparison=share)
        if role in SHOWN:
            yield measure.show(SHOWN[role], probe, probe.image, maps, role)
        return maps

    def _signal(self, probe: Probe) -> Tensor:
        """Where the signal is (n, 1, h, w)."""
        if self.signal is None:
            assert probe.mask is not None
            return ~probe.mask
        signal = self.signal.to(probe.image.device).bool()
        return signal.expand(len(probe.image), -1, -1, -1) if len(signal) == 1 else signal
