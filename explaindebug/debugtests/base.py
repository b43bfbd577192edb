"""What a debugging test is: which networks on which inputs, and the number that answers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from torch import nn

from explaindebug.core.errors import ConfigError
from explaindebug.debugtests.explain import Measured
from explaindebug.debugtests.measure import Measure
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.results import Gate, Headline
from explaindebug.evaluation.roles import BUG, CONTROL, Role
from explaindebug.evaluation.scores import Scores

SHOWN = {BUG: "with the bug", CONTROL: "control (no bug)"}  # arms whose maps are drawn


class Arms(NamedTuple):
    """The networks of a test. Several in one arm differ in their seeds alone."""

    bug: Sequence[nn.Module]
    control: Sequence[nn.Module] = ()  # without the bug
    reference: nn.Module | None = None  # without the bug; the others' maps are compared with its

    @property
    def everybody(self) -> list[nn.Module]:
        """All networks that are explained."""
        return [*self.bug, *self.control, *([] if self.reference is None else [self.reference])]


class DebugTest(ABC):
    """A paired comparison of attribution maps on the same inputs.

    A subclass is a whole test: its arms, its pairs of maps, and the number, direction and question
    of its verdict. It knows nothing of trainers, files or the command line.
    """

    name: ClassVar[str]  # in keys and tables
    title: ClassVar[str]  # in reports
    needs_reference: ClassVar[bool] = False
    similarity: ClassVar[str] = "spearman"  # that the verdict is about
    measures: ClassVar[Sequence[str]] = ()  # similarities that it measures whichever are asked for

    @abstractmethod
    def pairs(self, arms: Arms, probe: Probe, measure: Measure) -> Iterator[Measured]:
        """Measure, in parts; networks are private copies on the inputs' device."""

    @abstractmethod
    def headline(self, stages: Sequence[str]) -> Headline:
        """The number that the verdict is about, and which way the bug moves it.

        `stages` are those that were measured, of a test whose conditions form a curve.
        """

    def questions(self, scores: Scores) -> Sequence[Headline]:
        """Further questions that these scores answer, beside the verdict's."""
        return ()

    def gates(self, arms: Arms, probe: Probe, chunk: int) -> Sequence[Gate]:
        """Conditions without which the test says nothing: the bug is there at all."""
        return ()

    def check(self, arms: Arms, probe: Probe) -> None:
        """Refuse what can't work, before anything is explained.

        Raises:
            ConfigError: where a network is missing that the test compares with.
        """
        if self.needs_reference and arms.reference is None:
            raise ConfigError(
                f"the test {self.name!r} compares maps with those of a network without the bug: "
                'give it as networks["reference"], and further ones as networks["control"].'
            )


def roles(arm: str, networks: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """An arm's networks with their roles in tables: `control`, then `control: 2` and so on."""
    for i, network in enumerate(networks):
        yield str(Role(arm, i + 1)), network
