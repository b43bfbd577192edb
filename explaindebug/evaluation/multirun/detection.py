"""Detectors over several runs: how well each finds the examples, and how much that varies."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from explaindebug.core.io import write_csv
from explaindebug.evaluation.detection import Cut, Detector, Name
from explaindebug.evaluation.multirun.comparison import Across
from explaindebug.evaluation.results import counted_runs
from explaindebug.evaluation.scores import headed


@dataclass(frozen=True)
class Repeated:
    """One detector over the runs of a test: means and standard deviations between runs.

    NaN if no run has the number; the standard deviation of fewer than two runs is NaN.
    """

    test: str
    setting: str  # how these runs differ from others: "bug.labels.rate=0.2"
    finds: str
    method: str
    statistic: str
    runs: int  # with a number
    beyond: int  # those of them with p at most the level
    auroc: float
    auroc_sd: float
    auroc_least: float
    auroc_most: float
    rate: float
    precision: float
    precision_sd: float
    fpr95: float
    fpr95_sd: float
    cut: Cut
    trouble: str  # why runs have no number, as a sentence


def repeated(
    runs: Sequence[Sequence[Detector]], *, test: str, setting: str = "", level: float = 0.05
) -> list[Repeated]:
    """A `Repeated` for each detector that any run has, in order of appearance."""
    groups: dict[Name, list[Detector]] = {}
    for detector in (detector for run in runs for detector in run):
        groups.setdefault(Name(detector.method, detector.statistic), []).append(detector)
    return [_repeated(group, test, setting, level) for group in groups.values()]


def detectors_across(result: Across) -> list[list[Repeated]]:
    """The detectors of each variant, over the runs that count (see `counted_runs`)."""
    level = result.runs[0].settings["level"]
    found = []
    for variant in result.variants:
        runs = [test.detectors for test in counted_runs(variant.results)]
        found.append(repeated(runs, test=variant.test, setting=variant.setting, level=level))
    return found


def best_of_maps(found: Sequence[Repeated]) -> Repeated | None:
    """The detector based on maps whose mean area is farthest from 0.5; None if there is none."""
    maps = [detector for detector in found if detector.method and detector.runs]
    return max(maps, key=lambda d: abs(d.auroc - 0.5), default=None)


def write_detectors_across(
    found: Sequence[Repeated], path: Path | str, rows_are: str = "method"
) -> None:
    """Write a CSV line per test, setting and detector, atomically."""
    columns = headed([field.name for field in fields(Repeated)], rows_are)
    write_csv(path, columns, map(astuple, found))


def _repeated(group: Sequence[Detector], test: str, setting: str, level: float) -> Repeated:
    told = [detector for detector in group if not detector.trouble]
    areas = [detector.auroc for detector in told]
    precisions = [detector.precision for detector in told]
    passed = [detector.fpr95 for detector in told]
    first = group[0]
    return Repeated(
        test=test,
        setting=setting,
        finds=first.finds,
        method=first.method,
        statistic=first.statistic,
        runs=len(told),
        beyond=sum(detector.p <= level for detector in told),
        auroc=_mean(areas),
        auroc_sd=_sd(areas),
        auroc_least=min(areas, default=math.nan),
        auroc_most=max(areas, default=math.nan),
        rate=first.rate,
        precision=_mean(precisions),
        precision_sd=_sd(precisions),
        fpr95=_mean(passed),
        fpr95_sd=_sd(passed),
        cut=first.cut,
        trouble=next((detector.trouble for detector in group if detector.trouble), ""),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
