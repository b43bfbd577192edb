"""A run of the application beside the table of the paper that it is to be compared with."""

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
    """What the run notes of the paper's table; nothing where it names none."""
    name = resolved(checked.paper, str(checked.data.get("_target_", "")))
    return {} if name is None else {MADE: name}


def put_beside(result: RunResult, folder: Path, checked: Settings) -> None:
    """The paper's table on the console and as files, where the run names one and has its test."""
    experiment = beside(result.made.get(MADE))
    if experiment is None or experiment.test not in [test.name for test in result.tests]:
        return
    entry = Entry(Run(folder, result, dict(flat(asdict(checked)))), experiment)
    write_paper(entry, folder)
    print_paper(entry, console)
