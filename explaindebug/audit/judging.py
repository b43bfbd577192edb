"""From what `Check` measured to the answer: which methods can be read on this network."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from explaindebug.debugtests.check import CLASS, EDGES, HEAD, INPUT, OBJECT, QUESTIONS, STABLE
from explaindebug.debugtests.reliance import ROW
from explaindebug.evaluation.fitness import Fit, Fitness, Need, fitness
from explaindebug.evaluation.results import Headline, RunResult, TestResult, Verdict
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.unscored import Fault
from explaindebug.evaluation.verdicts import verdicts

TITLES = {
    CLASS: "Depends on the class",
    HEAD: "Depends on the weights",
    INPUT: "Depends on the input",
    STABLE: "Is stable",
    OBJECT: "Lies on the object",
}
NEEDS = (
    Need(CLASS.condition, "changes with the class", "is the same for another class"),
    Need(
        HEAD.condition,
        "changes with the weights",
        "is the same without the last layer's weights",
    ),
    Need(INPUT.condition, "changes with the input", "is the same for another input"),
    Need(STABLE.condition, "is stable under noise", "changes under imperceptible noise"),
)
ON_OBJECT = Need(
    OBJECT.condition, "lies on the object", "does not lie on the object that the network relies on"
)


@dataclass(frozen=True, eq=False)
class Checked:
    """Result of `check`."""

    result: RunResult  # a test for each question, and the network's reliance on the object
    verdicts: Sequence[Verdict]  # of the methods, of the edge detector, of the network
    fitness: Sequence[Fitness]  # one per method
    level: float
    refused: Mapping[str, str] = field(default_factory=dict)  # method -> why it was left out

    @property
    def scores(self) -> Scores:
        """Numbers per input; the test is the question."""
        return sum((test.scores for test in self.result.tests), Scores())

    @property
    def fit(self) -> Fit:
        """`not fit` if a method is not, `fit` if all are."""
        found = {one.fit for one in self.fitness}
        order: tuple[Fit, ...] = ("not fit", "can't tell", "fit")
        return next((fit for fit in order if fit in found), "can't tell")

    @property
    def reliance(self) -> Verdict | None:
        """Whether the network relies on the object; None without masks."""
        return next((v for v in self.verdicts if v.method == ROW), None)

    def report(self, path: Path | str) -> Path:
        """Write a self-contained page, and return its path."""
        from explaindebug.report.html.check import (
            write_check,  # late, as jinja and matplotlib take a second to import
        )

        found = (self.result, self.verdicts, self.fitness, self.refused)
        return write_check(*found, Path(path), self.level, self.reliance)

    def __str__(self) -> str:
        return "\n".join(f"{one.method}: {one.fit}. {one.reason}" for one in self.fitness)


def judged(
    measured: TestResult,
    methods: Mapping[str, str],
    *,
    reliance: TestResult | None = None,
    refused: Mapping[str, str] | None = None,
    accuracies: Sequence[tuple[str, str, float]] = (),
    made: Mapping[str, str] | None = None,
    margin: float = 0.1,
    level: float = 0.05,
    seed: int = 0,
) -> Checked:
    """The answer; `methods` are names and labels of the methods that were measured.

    The p values of all methods and questions are adjusted together. The edge detector and the
    network are judged apart: answers that are certain beforehand must not make others easier.
    """
    asked = {q.condition: q for q in (measured.headline, *measured.questions)}
    tests = [_question(measured, q) for q in QUESTIONS if q.condition in asked]
    if tests:
        tests[0] = replace(tests[0], galleries=measured.galleries, warnings=measured.warnings)
    own = [_of(test, methods) for test in tests]
    edges = [_of(test, {EDGES}) for test in tests]
    network = [] if reliance is None else [reliance]
    answers = [
        verdict
        for family in (own, edges, network)
        for verdict in verdicts(family, margin=margin, level=level, seed=seed)
    ]
    relied = any(v.method == ROW and v.answer == "shows" for v in answers)
    needs = (*NEEDS, ON_OBJECT) if relied else NEEDS
    empty = _empty(measured)
    found = [fitness(m, answers, needs, empty.get(m, 0.0)) for m in methods]
    names = dict(methods)
    if EDGES in measured.scores.unique("method"):
        names[EDGES] = "Edge detector"
    result = RunResult([*tests, *network], names, accuracies, made or {})
    return Checked(result, answers, found, level, refused or {})


def _question(measured: TestResult, asked: Headline) -> TestResult:
    """One question as a test of its own."""
    name = asked.condition
    scores = Scores()
    for key, column in measured.scores.select(condition=name):
        scores.add(key._replace(test=name), *column)
    return TestResult(
        name,
        TITLES[asked],
        asked,
        scores,
        clusters=measured.clusters,
        unscored=[
            one._replace(key=one.key._replace(test=name))
            for one in measured.unscored
            if one.key.condition == name
        ],
        same_network=measured.same_network,
    )


def _of(test: TestResult, methods: Collection[str]) -> TestResult:
    """The part of a test that is about these methods."""
    scores = Scores()
    for key, column in test.scores:
        if key.method in methods:
            scores.add(key, *column)
    return replace(test, scores=scores)


def _empty(measured: TestResult) -> dict[str, float]:
    """Method -> share of the inputs whose own map is constant."""
    inputs = max((len(column.rows) for _, column in measured.scores), default=1)
    return {
        key.method: len(rows) / inputs
        for key, fault, rows in measured.unscored
        if fault is Fault.REFERENCE_CONSTANT and key.condition == STABLE.condition
    }
