"""Detectors as a small table in a terminal: those without maps, and the best based on maps."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from explaindebug.evaluation.detection import of_maps
from explaindebug.evaluation.multirun.detection import Repeated
from explaindebug.evaluation.results import RunResult, TestResult
from explaindebug.report.console.tables import drawn, plainly
from explaindebug.report.detection import LEVEL, Detecting, detecting, detecting_across


def print_detectors(result: RunResult, console: Console | None = None) -> None:
    """Print how well single numbers find the examples with the bug, for tests that measure it."""
    plainly(console, lambda where: _print_all(result, where))


def print_detectors_across(
    title: str, found: Sequence[Repeated], names: Mapping[str, str], console: Console
) -> None:
    """Print the same for a test's detectors over its runs."""
    if told := detecting_across(found, names):
        plainly(console, lambda where: _head(title, told, where))


def _head(title: str, found: Detecting, console: Console) -> None:
    console.print(Text(f"\n{title}: {found.finds} found by"))
    console.print(drawn(found.best))


def _print_all(result: RunResult, console: Console) -> None:
    for test in result.tests:
        if found := detecting(test.detectors, test.lines(result.methods)):
            _print(test, found, console)


def _print(test: TestResult, found: Detecting, console: Console) -> None:
    _head(test.title, found, console)
    maps = of_maps(test.detectors)
    beyond = sum(d.p <= LEVEL for d in maps)
    console.print(f"beyond chance (p <= {LEVEL:g}): {beyond} of {len(maps)} statistics of maps")
    for trouble in dict.fromkeys(d.trouble for d in test.detectors if d.trouble):
        console.print(Text(f"without a number: {trouble}"))
