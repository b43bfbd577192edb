"""What a page of several runs has beside that of one: spreads, sweeps, their detectors."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from matplotlib.figure import Figure

from explaindebug.core import wording
from explaindebug.evaluation.detection import Detector
from explaindebug.evaluation.multirun.detection import Repeated, best_of_maps
from explaindebug.evaluation.multirun.pooling import Several
from explaindebug.evaluation.multirun.sweeps import Sweep
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.report import phrases
from explaindebug.report.figures import style as plotting

D = TypeVar("D", Detector, Repeated)


@dataclass(frozen=True)
class Swept:
    """One sweep on the page."""

    id: str
    name: str  # "Spurious tag over fraction"
    setting: str
    answer: str
    chart: str  # SVG
    file: str  # beside the page, without .png or .pdf
    gated: bool  # the figure has a panel of what the gate measures


@dataclass(frozen=True)
class DetectingAcross:
    """How well single numbers find the examples with the bug, over several runs."""

    finds: str
    rate: float
    precision: bool  # whether what counts at a cut is the precision, or the false positives
    rows: Mapping[str, Repeated]  # by name: those without maps, and the best of the maps'
    statistics: tuple[str, ...]
    cells: Mapping[str, tuple[Repeated | None, ...]]  # by method, a detector per statistic


def answer(result: RunResult, verdicts: Sequence[Verdict], several: Several) -> str:
    """The page's first sentence: that of the sweeps, where there is nothing else to answer."""
    swept_levels = sum(len(sweep.levels) for sweep in several.sweeps)
    if several.sweeps and swept_levels == len(result.tests):
        return " ".join(sweep.sentence(result.methods) for sweep in several.sweeps)
    return phrases.answer(result, verdicts)


def spread(together: Verdict, each: Sequence[Verdict]) -> str:
    """`sd 0.03, 2 of 3 runs`: between runs, and how many say by themselves what all say."""
    effects = [v.effect for v in each if not math.isnan(v.effect)]
    sd = [f"sd {wording.num(statistics.stdev(effects))}"] if len(effects) > 1 else []
    alike = sum(v.answer == together.answer for v in each)
    parts = [*sd, f"{alike} of {len(each)} run{'s' * (len(each) > 1)}"]
    return ", ".join(part.replace(" ", wording.NO_BREAK) for part in parts)


def sweep_files(several: Several) -> list[str]:
    """Where the sweeps' figures go, beside the page: `figures/sweep_spurious`."""
    tests = [sweep.test for sweep in several.sweeps]
    return [
        f"figures/sweep_{test}{f'_{i + 1}' * (tests.count(test) > 1)}"
        for i, test in enumerate(tests)
    ]


def swept(several: Several, names: Mapping[str, str], curves: Sequence[Figure]) -> list[Swept]:
    """The sweeps made ready for the page."""
    return [
        _swept(sweep, f"sweep-{i + 1}", file, curve, names)
        for i, (sweep, file, curve) in enumerate(
            zip(several.sweeps, sweep_files(several), curves, strict=True)
        )
    ]


def detecting_across(found: Sequence[Repeated], names: Mapping[str, str]) -> DetectingAcross | None:
    """A test's detectors over its runs as two tables; None where it has none."""
    if not found:
        return None
    first = found[0]
    statistics_of_maps, cells = by_method(found, names)
    rows = {phrases.statistic(d.statistic).capitalize(): d for d in found if not d.method}
    best = best_of_maps(found)
    if best:
        name = phrases.statistic(best.statistic)
        maps = sum(bool(d.method and d.runs) for d in found)
        name = f"{name[:1].upper()}{name[1:]} of {names[best.method]}"
        rows[f"{name}, best of {maps} map statistics"] = best
    return DetectingAcross(
        finds=first.finds,
        rate=first.rate,
        precision=first.cut == "precision",
        rows=rows,
        statistics=tuple(map(phrases.statistic, statistics_of_maps)),
        cells=cells,
    )


def by_method(
    found: Sequence[D], names: Mapping[str, str]
) -> tuple[list[str], dict[str, tuple[D | None, ...]]]:
    """Statistics of maps, and for each method that has any its detectors, one per statistic."""
    own = {(d.method, d.statistic): d for d in found}
    statistics_of_maps = list(dict.fromkeys(d.statistic for d in found if d.method))
    cells = {m: tuple(own.get((m, s)) for s in statistics_of_maps) for m in names}
    return statistics_of_maps, {m: line for m, line in cells.items() if any(line)}


def _swept(sweep: Sweep, place: str, file: str, curve: Figure, names: Mapping[str, str]) -> Swept:
    said = sweep.sentence(names)
    gated = any(level.gates for level in sweep.levels)
    chart = plotting.svg(curve, title=said, prefix=place)
    return Swept(place, sweep.name, sweep.setting, said, chart, file, gated)
