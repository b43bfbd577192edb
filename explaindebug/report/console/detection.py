"""Detectors as a small table in a terminal: those without maps, and the best of those of maps."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from explaindebug.core import wording
from explaindebug.evaluation.detection import Detector, best_of_maps, of_maps
from explaindebug.evaluation.results import RunResult, TestResult
from explaindebug.report import phrases

LEVEL = 0.05


def print_detectors(result: RunResult, console: Console | None = None) -> None:
    """Print which numbers would have found the examples with the bug, where a test asked that."""
    console = console or Console()
    for test in result.tests:
        if test.detectors:
            _print(test, test.lines(result.methods), console)


def _print(test: TestResult, methods: Mapping[str, str], console: Console) -> None:
    first = test.detectors[0]
    all_of_them = first.positives + first.negatives + first.missing
    head = f"\n{test.title}: {first.positives} {first.finds} among {all_of_them}, found by"
    console.print(Text(head))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("one number of each", "AUROC", _cut(first)[0], "p"):
        table.add_column(name, no_wrap=True)
    maps, best = of_maps(test.detectors), best_of_maps(test.detectors)
    for detector in test.detectors:
        if not detector.method and not detector.trouble:
            table.add_row(*_row(_name(detector, methods), detector))
    if best:
        table.add_row(*_row(f"{_name(best, methods)} (best of {len(maps)})", best))
    console.print(table)
    beyond = sum(d.p <= LEVEL for d in maps)
    console.print(f"beyond chance (p <= {LEVEL:g}): {beyond} of {len(maps)} statistics of maps")
    for trouble in dict.fromkeys(d.trouble for d in test.detectors if d.trouble):
        console.print(Text(f"without a number: {trouble}"))


def _row(name: str, d: Detector) -> tuple[Text, ...]:
    area = f"{wording.num(d.auroc)} {wording.interval((d.auroc_low, d.auroc_high))}"
    return tuple(map(Text, (name, area, wording.num(_cut(d)[1]), wording.pvalue(d.p))))


def _cut(d: Detector) -> tuple[str, float]:
    """What somebody gets who has to draw a line: as papers on either question say it.

    "precision@10%": among the highest tenth, where a tenth is what there is to find.
    """
    if d.cut == "fpr95":
        return "FPR95", d.fpr95
    return f"precision@{d.rate:.0%}", d.precision


def _name(d: Detector, methods: Mapping[str, str]) -> str:
    statistic = phrases.statistic(d.statistic)
    return f"{statistic} of {methods.get(d.method, d.method)}" if d.method else statistic
