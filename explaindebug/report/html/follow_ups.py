"""What a test asks beside its headline: further questions, and examples found one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explaindebug.evaluation.detection import Detector, best_of_maps, of_maps
from explaindebug.evaluation.multirun.pooling import Several
from explaindebug.evaluation.results import TestResult, Verdict
from explaindebug.report import phrases
from explaindebug.report.html.multirun import by_method, spread


@dataclass(frozen=True)
class Detecting:
    """How well single numbers find the examples with the bug."""

    finds: str  # "flipped labels"
    positives: int
    examples: int
    rate: float
    precision: bool  # whether what counts at a cut is the precision, or the false positives
    rows: Mapping[str, Detector]  # by name: those without maps, and the best of the maps'
    statistics: tuple[str, ...]  # of maps, as people call them
    cells: Mapping[str, tuple[Detector | None, ...]]  # by method, a detector per statistic


@dataclass(frozen=True)
class Asked:
    """One further question, answered by each method."""

    name: str  # "K-SSD"
    question: str
    verdicts: Mapping[str, Verdict]  # by method
    spreads: Mapping[str, str]  # by method, of several runs


def detecting(test: TestResult, names: Mapping[str, str]) -> Detecting | None:
    """The test's detectors as two tables; None where it has none."""
    if not test.detectors:
        return None
    first = test.detectors[0]
    statistics, cells = by_method(test.detectors, names)
    rows = {_name(d): d for d in test.detectors if not d.method}
    best = best_of_maps(test.detectors)
    if best:
        maps = len(of_maps(test.detectors))
        rows[f"{_name(best)} of {names[best.method]}, best of {maps} map statistics"] = best
    return Detecting(
        finds=first.finds,
        positives=first.positives,
        examples=first.positives + first.negatives + first.missing,
        rate=first.rate,
        precision=first.cut == "precision",
        rows=rows,
        statistics=tuple(map(phrases.statistic, statistics)),
        cells=cells,
    )


def asked(
    test: TestResult, names: Mapping[str, str], further: Sequence[Verdict], several: Several
) -> list[Asked]:
    """The test's further questions that have answers among those of all tests, `further`."""
    own = {(v.condition, v.method): v for v in further if v.test == test.name}
    found = {
        q: {m: own[q.condition, m] for m in names if (q.condition, m) in own}
        for q in test.questions
    }
    return [
        Asked(
            q.column,
            q.question,
            answers,
            {
                m: spread(v, several.answers[test.name, q.condition, m])
                for m, v in answers.items()
                if (test.name, q.condition, m) in several.answers
            },
        )
        for q, answers in found.items()
        if answers
    ]


def _name(detector: Detector) -> str:
    name = phrases.statistic(detector.statistic)
    return name[:1].upper() + name[1:]
