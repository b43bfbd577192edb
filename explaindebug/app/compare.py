"""`explaindebug compare RUN RUN ...`: several runs in one table and page."""

import argparse
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from explaindebug.app.progress import console, say
from explaindebug.core.environment import versions
from explaindebug.core.errors import ConfigError
from explaindebug.core.io import writable_folder, write_csv
from explaindebug.evaluation.manifest import begin, write_manifest
from explaindebug.evaluation.multirun.comparison import Across, Line, across, further_lines, lines
from explaindebug.evaluation.multirun.detection import write_detectors_across
from explaindebug.evaluation.multirun.pooling import merged, several
from explaindebug.evaluation.runs import read_run
from explaindebug.evaluation.scores import headed
from explaindebug.report.console.detection import print_detectors_across
from explaindebug.report.console.follow_ups import print_questions
from explaindebug.report.console.multirun import print_across
from explaindebug.report.html.write import write_report

ABOUT = """Combine several runs in one table and page. Runs that differ only in their seed are
replicates of one test: their verdicts use the measured variation between seeds. Other settings (of
a sweep, say) are shown side by side. All runs must have been measured in the same way."""


def main(arguments: Sequence[str]) -> Across:
    """Read the runs, write the table and the page, and print the table.

    Raises:
        DataError: for a folder without a run, or runs that can't be compared.
        ConfigError: if the output can't be written.
    """
    asked = _parser().parse_args(arguments)
    folders = [folder for name in asked.runs for folder in runs_in(Path(name))]
    result = across([read_run(folder) for folder in dict.fromkeys(folders)])
    folder = claim(Path(asked.output or time.strftime("outputs/%Y-%m-%d/%H-%M-%S-compared")))
    begin(folder)
    write_lines(result, folder / "comparison.csv")
    made = {
        "command": shlex.join(["explaindebug", "compare", *arguments]),
        "runs": ", ".join(run.name for run in result.runs),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
    whole, verdicts, further = merged(result, made)
    beside = several(result)
    found = [detector for test in beside.detectors.values() for detector in test]
    write_detectors_across(found, folder / "detectors.csv", result.rows_are)
    level = result.runs[0].settings["level"]
    report = write_report(whole, verdicts, folder, level=level, further=further, several=beside)
    write_manifest(
        folder,
        "compare",
        command=made["command"],
        details="comparison.csv",
        verdicts=verdicts,
        tests=whole.tests,
    )
    print_across(result, console)
    print_questions(whole, further, console)
    for test in whole.tests:
        names = test.lines(whole.methods)
        print_detectors_across(test.title, beside.detectors[test.name], names, console)
    say(f"\neverything is in {folder}; open {report}")
    return result


def runs_in(folder: Path) -> list[Path]:
    """The folder itself or, for the folder of a sweep, those of its runs in numerical order."""
    if (folder / "run.json").is_file() or not folder.is_dir():
        return [folder]
    inside = [path.parent for path in folder.glob("*/run.json")]
    return sorted(inside, key=lambda path: (len(path.name), path.name)) or [folder]


def claim(folder: Path) -> Path:
    """The output folder, created if needed; it may hold an earlier comparison, nothing else.

    Raises:
        ConfigError: if it holds something else, or can't be written.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "comparison.csv").is_file():
        raise ConfigError(
            f"{folder} is not empty and holds no comparison, so nothing was written into it. "
            "Choose an empty or new folder with --output."
        )
    return writable_folder(folder)


def write_lines(result: Across, path: Path) -> None:
    """Write a CSV row per test, setting, question and method, atomically.

    Rows of the headlines come first, then those of further questions, which differ in condition.
    """
    columns = headed(Line._fields, result.rows_are)
    write_csv(path, columns, [*lines(result), *further_lines(result)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="explaindebug compare", description=ABOUT)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, or a sweep's")
    parser.add_argument("--output", metavar="FOLDER", help="folder for the table and the page")
    return parser
