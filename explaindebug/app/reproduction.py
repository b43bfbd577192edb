"""Comparison of a run with the table of the paper that its settings name."""

from dataclasses import asdict
from pathlib import Path

from explaindebug.app.progress import console
from explaindebug.app.settings import Settings
from explaindebug.evaluation.results import RunResult
from explaindebug.evaluation.runs import Run, flat
from explaindebug.studies.adebayo2020.console import print_paper
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.experiments import MADE, beside, resolved
from explaindebug.studies.adebayo2020.write import write_paper


def named(checked: Settings) -> dict[str, str]:
    """The entry of `RunResult.made` for the paper's table; empty if the settings name none."""
    name = resolved(checked.paper, str(checked.data.get("_target_", "")))
    return {} if name is None else {MADE: name}


def put_beside(result: RunResult, folder: Path, checked: Settings) -> None:
    """Print and write the comparison, if the run names a table and has the table's test."""
    experiment = beside(result.made.get(MADE))
    if experiment is None or experiment.test not in [test.name for test in result.tests]:
        return
    entry = Entry(Run(folder, result, dict(flat(asdict(checked)))), experiment)
    write_paper(entry, folder)
    print_paper(entry, console)
