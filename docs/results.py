"""Writes docs/results.md from the folders of runs: `python docs/results.py RUN RUN ...`.

Each run is put beside the table or figure of the paper that it names itself (`experiment=...`).
Where a run says nothing of it, its test does; or say it: `table2=RUN`. Of several runs of one
experiment each has its section, and claims are judged by each. Figures are made small and laid
beside the page.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from explaindebug.core.errors import ExplainDebugError
from explaindebug.evaluation.runs import read_run
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.experiments import NAMES
from explaindebug.studies.adebayo2020.write import write_results

PAGE = Path(__file__).with_name("results.md")


def main(arguments: Sequence[str] | None = None) -> Path:
    """The page, written."""
    asked = _parser().parse_args(arguments)
    entries = [entry(named) for named in asked.runs]
    command = "python docs/results.py RUN ..."
    return write_results(entries, Path(asked.page), command=command, title="Results")


def entry(named: str) -> Entry:
    """The run of an argument, FOLDER or EXPERIMENT=FOLDER."""
    name, sign, folder = named.partition("=")
    if sign and name in NAMES:
        return Entry.of(read_run(folder), name)
    return Entry.of(read_run(named))


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python docs/results.py", description=about[2])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder")
    parser.add_argument("--page", default=PAGE, metavar="FILE", help="what is written")
    return parser


if __name__ == "__main__":
    try:
        print(f"{main()} is written")
    except ExplainDebugError as error:
        sys.exit(f"error: {error}")
