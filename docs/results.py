"""Write docs/results.md from the folders of runs: `python docs/results.py RUN RUN ...`.

Each run is compared with the table or figure of the paper that it names (`experiment=...`). If it
names none, the table follows from its test; `table2=RUN` sets it. Several runs of one experiment
have a section each, and each claim is judged by each of them. Figures are saved in small size next
to the page.
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
    """Write the page, and return its path."""
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
    parser.add_argument("--page", default=PAGE, metavar="FILE", help="the file to write")
    return parser


if __name__ == "__main__":
    try:
        print(f"wrote {main()}")
    except ExplainDebugError as error:
        sys.exit(f"error: {error}")
