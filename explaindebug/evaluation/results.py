"""What a debugging test leaves behind: scores, gates, pictures. The report needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from explaindebug.core import wording
from explaindebug.evaluation.detection import Detector
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.unscored import Unscored

Answer = Literal["shows", "doesn't", "can't tell"]


@dataclass(frozen=True)
class Headline:
    """Which numbers of a test answer its question, and which way a visible bug moves them."""

    condition: str  # "share", "top 3", "flipped", "foreign"
    similarity: str  # "background", "spearman", ...
    moves: Literal["up", "down"]  # "down": the bug shows where the maps grow less alike
    question: str  # what "shows" means here, one sentence
    short: str = ""  # what a column is called that answers it: "K-SSD"

    @property
    def column(self) -> str:
        """The name of a column that answers it: its own short one, or else the condition."""
        return self.short or self.condition


@dataclass(frozen=True)
class Layout:
    """How the table of a test's arms is laid out, and what it is called."""

    heading: str = "Arm by arm"
    caption: str = "Similarity of maps"
    similarities: tuple[str, ...] = ("ssim", "spearman")  # of those measured, the ones in the table
    conditions: Mapping[str, str] = field(default_factory=dict)  # condition -> its name there


@dataclass(frozen=True)
class Gate:
    """A condition without which a test is void, as measured: "scene-only accuracy" 0.97 >= 0.9."""

    name: str
    value: float
    least: float
    meaning: str  # what it means when it fails, one sentence

    @property
    def passed(self) -> bool:
        """Whether the value reaches what is needed."""
        return self.value >= self.least

    @property
    def said(self) -> str:
        """`scene-only accuracy 0.97 ≥ 0.9`, with as many digits as make the comparison true."""
        digits = next((d for d in range(2, 9) if self._tells(d)), 9)
        sign = "≥" if self.passed else "<"
        comparison = f"{wording.num(self.value, digits)} {sign} {self.least:g}"
        return f"{self.name} {comparison.replace(' ', wording.NO_BREAK)}"

    def _tells(self, digits: int) -> bool:
        return (round(self.value, digits) >= self.least) == self.passed


@dataclass(frozen=True)
class Gallery:
    """A few inputs and every method's map of them, one row of maps per model or stage.

    `maps[row][method]` is (k, h, w), signed, scaled per map to [-1, 1] (see `heatmaps.display`).
    `arms` says which rows are the arms of the comparison, whatever they are called: row -> "bug" or
    "control". The stages of a cascade are none.
    """

    inputs: npt.NDArray[np.uint8]  # (k, h, w, 3)
    captions: tuple[str, ...]  # (k,) "bird, called dog"
    maps: Mapping[str, Mapping[str, npt.NDArray[np.float32]]]
    arms: Mapping[str, str] = field(default_factory=dict)

    def row(self, arm: str) -> str | None:
        """The first row of an arm; None where no row is of it."""
        return next((row for row in self.maps if self.arms.get(row) == arm), None)


@dataclass
class TestResult:
    """One debugging test, measured."""

    __test__ = False  # its name misleads pytest

    name: str  # "spurious", as in configs
    title: str  # "Spurious background"
    headline: Headline
    scores: Scores
    gates: Sequence[Gate] = ()
    galleries: Sequence[Gallery] = ()
    stages: Sequence[str] = ()  # conditions that form a curve, in order (the cascade)
    # Stage -> share of inputs whose predicted class is still that of the trained network.
    agreement: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)  # "flipped training labels": 200, ...
    # Input -> the class or photograph that it shares with others, where inputs are not independent.
    clusters: Mapping[int, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()  # what went wrong without ending the test: NaN maps, ...
    unscored: Sequence[Unscored] = ()  # maps without a score; `warnings` has them in words
    questions: Sequence[Headline] = ()  # asked beside the headline: see `followup.answers`
    detectors: Sequence[Detector] = ()  # could one find the examples with the bug, one by one?
    kind: str = ""  # which debugging test it is, also where variants are called "spurious-2"
    # Name in scores -> label of the lines of its tables; the run's methods where empty.
    rows: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    domains: Sequence[str] = ("data",)  # whose networks it asked for: "data", "foreign"

    def __post_init__(self) -> None:
        self.kind = self.kind or self.name

    def lines(self, methods: Mapping[str, str]) -> Mapping[str, str]:
        """Name -> label of the lines of its tables, in a run of these methods."""
        return self.rows or methods

    @property
    def void(self) -> bool:
        """Whether a gate failed, so that the test says nothing."""
        return not all(gate.passed for gate in self.gates)


@dataclass(frozen=True)
class Verdict:
    """Whether one method shows one bug, and what that rests on; NaN where there is no number."""

    test: str
    method: str
    condition: str
    similarity: str
    answer: Answer
    reason: str  # one sentence
    effect: float  # bug minus control in the headline's direction: positive where the bug shows
    interval: tuple[float, float]  # 95 %, over inputs; over models too where an arm has several
    margin: float
    p: float  # of "shows"
    p_adjusted: float  # over the whole table
    p_absent: float  # of "doesn't"
    p_absent_adjusted: float
    n: int  # inputs with a number in both arms
    missing: int  # inputs without
    bug: float  # means over the n inputs
    control: float
    null: float  # mean of the matched null
    models: tuple[int, int]  # in the bug's arm, in the control's
    units: int  # independent inputs: n, or the clusters that they come in

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.interval[1]


def counted_runs(results: Sequence[TestResult]) -> list[TestResult]:
    """Of one test's repetitions with other seeds those that count: void ones don't.

    Where all are void, the first one stands for them, so that what is made of it is void as well.
    """
    return [result for result in results if not result.void] or list(results[:1])


@dataclass
class RunResult:
    """A whole run of the application: what the report shows."""

    tests: Sequence[TestResult]
    methods: Mapping[str, str]  # name in configs -> name in the paper's tables, in order
    accuracies: Sequence[tuple[str, str, float]]  # model, data, accuracy
    made: Mapping[str, str]  # command, config, versions, seeds, times
    warnings: Sequence[str] = ()

    @property
    def lines(self) -> Mapping[str, str]:
        """Name -> label of the lines of a table of all tests: methods, then tests' own rows."""
        own = {name: label for test in self.tests for name, label in test.rows.items()}
        mine = [test for test in self.tests if not test.rows]
        return {**(self.methods if mine or not self.tests else {}), **own}
