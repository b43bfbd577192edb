"""How well single numbers find the examples with the bug, as tables for one or several runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from explaindebug.core import wording
from explaindebug.evaluation import detection as one
from explaindebug.evaluation.detection import Detector
from explaindebug.evaluation.multirun import detection as several
from explaindebug.evaluation.multirun.detection import Repeated
from explaindebug.report import phrases
from explaindebug.report import table as tables
from explaindebug.report.table import Cell, Column, Row, Table

LEVEL = 0.05
ADJUSTED = "adjusted for all detectors of the test"
D = TypeVar("D", Detector, Repeated)


@dataclass(frozen=True)
class Detecting:
    """What a test's detectors find, and how well."""

    finds: str  # "30 flipped labels among 100 examples"
    best: Table  # detectors without maps, and the best based on maps
    statistics: Table  # of maps: AUROC of each method and statistic


def detecting(
    found: Sequence[Detector],
    names: Mapping[str, str],
    level: float = LEVEL,
    rows_are: str = "method",
) -> Detecting | None:
    """The detectors of one run; None if there are none."""
    if not found:
        return None
    first, best = found[0], one.best_of_maps(found)
    examples = first.positives + first.negatives + first.missing
    columns = [
        Column("One number of each"),
        Column("AUROC"),
        Column("By chance", wide=True, aside=True),
        Column("p", f"for an area at least this far from 0.5, {ADJUSTED}"),
        _cut(first),
        Column("Interval", wide=True),
    ]
    return Detecting(
        f"{first.positives} {first.finds} among {examples} examples",
        Table(
            "Area under the ROC curve, with 95% intervals; for maps, the best of all statistics",
            columns,
            _rows(found, best, len(one.of_maps(found)), names, _cells),
        ),
        _statistics(
            f"AUROC of each method's maps; * is beyond chance (p ≤ {level:g}, adjusted for all)",
            found,
            names,
            lambda d: _area(d, level),
            rows_are,
        ),
    )


def detecting_across(
    found: Sequence[Repeated],
    names: Mapping[str, str],
    level: float = LEVEL,
    rows_are: str = "method",
) -> Detecting | None:
    """The detectors of several runs; None if there are none."""
    if not found:
        return None
    columns = [
        Column("One number of each"),
        Column("AUROC"),
        Column("Least to most", wide=True),
        Column("Beyond chance", f"number of runs with p ≤ {level:g}, {ADJUSTED}"),
        _cut(found[0]),
    ]
    maps = sum(bool(d.method and d.runs) for d in found)
    return Detecting(
        found[0].finds,
        Table(
            "Means over runs ± their standard deviation between runs; for maps, the best of all "
            "statistics",
            columns,
            _rows(found, several.best_of_maps(found), maps, names, _cells_across),
        ),
        _statistics(
            "Mean AUROC of each method's maps; * is beyond chance in every run "
            f"(p ≤ {level:g}, adjusted for all)",
            found,
            names,
            _area_across,
            rows_are,
        ),
    )


def _cut(d: Detector | Repeated) -> Column:
    """The result at a threshold, by the measure that is usual in papers on either question."""
    if d.cut == "fpr95":
        return Column(
            "FPR95", f"share of {d.finds} accepted at a threshold that accepts 95% of the others"
        )
    rate = wording.num(d.rate)
    meaning = f"precision among the {rate} with the highest number; {rate} by chance"
    return Column(f"Precision@{d.rate:.0%}", meaning)


def _rows(
    found: Sequence[D],
    best: D | None,
    maps: int,
    names: Mapping[str, str],
    cells: Callable[[D], Sequence[Cell]],
) -> list[Row]:
    rows = [Row(_capital(d.statistic), cells(d)) for d in found if not d.method]
    if best:
        name = f"{_capital(best.statistic)} of {names[best.method]} (best of {maps})"
        rows.append(Row(name, cells(best)))
    return rows


def _cells(d: Detector) -> list[Cell]:
    if d.trouble:
        return [Cell(d.trouble)]
    value, low, high = (getattr(d, f"{d.cut}{end}") for end in ("", "_low", "_high"))
    area = f"{wording.num(d.auroc)} {wording.interval((d.auroc_low, d.auroc_high))}"
    return [
        Cell(area, order=d.auroc),
        tables.interval((d.null_low, d.null_high)),
        tables.pvalue(d.p),
        tables.number(value),
        tables.interval((low, high)),
    ]


def _cells_across(d: Repeated) -> list[Cell]:
    if not d.runs:
        return [Cell(d.trouble)]
    return [
        tables.mean_sd(d.auroc, d.auroc_sd),
        tables.interval((d.auroc_least, d.auroc_most)),
        Cell(f"{d.beyond} of {d.runs} run{'s' * (d.runs > 1)}"),
        tables.mean_sd(getattr(d, d.cut), getattr(d, f"{d.cut}_sd")),
    ]


def _statistics(
    caption: str,
    found: Sequence[D],
    names: Mapping[str, str],
    cell: Callable[[D], Cell],
    rows_are: str,
) -> Table:
    """A row per method that has statistics, a column per statistic of maps."""
    own = {(d.method, d.statistic): d for d in found if d.method}
    kinds: list[str] = list(dict.fromkeys(statistic for _, statistic in own))
    rows = [
        Row(
            name,
            [cell(own[method, s]) if (method, s) in own else Cell() for s in kinds],
            method,
        )
        for method, name in names.items()
        if any((method, s) in own for s in kinds)
    ]
    columns = [Column(wording.capital(rows_are)), *(Column(_capital(s)) for s in kinds)]
    return Table(caption, columns, rows)


def _area(d: Detector, level: float) -> Cell:
    if d.trouble:
        return Cell()
    why = f"{wording.interval((d.auroc_low, d.auroc_high))}, p {wording.pvalue(d.p)}"
    return _marked(tables.number(d.auroc), d.p <= level, why)


def _area_across(d: Repeated) -> Cell:
    if not d.runs:
        return Cell()
    why = f"{d.beyond} of {d.runs} beyond chance"
    return _marked(tables.mean_sd(d.auroc, d.auroc_sd), d.beyond == d.runs, why)


def _marked(cell: Cell, known: bool, why: str) -> Cell:
    return replace(cell, text=f"{cell.text}{'*' * known}", strong=known, why=why)


def _capital(statistic: str) -> str:
    return wording.capital(phrases.statistic(statistic))
