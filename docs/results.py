"""Writes docs/results.md from the folders of runs: `python docs/results.py RUN RUN ...`.

Each run is put beside the table or figure of the paper that it names itself (`experiment=...`).
Where a run says nothing of it, its test does; or say it: `table2=RUN`. Of several runs of one
experiment each has its section, and claims are judged by each. Pictures of Figure 7 are made small
and laid beside the page.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from explaindebug.errors import ExplainDebugError
from explaindebug.files import write_atomically
from explaindebug.paper.entries import Entry
from explaindebug.paper.files import small_picture
from explaindebug.paper.kinds import NAMES
from explaindebug.paper.page import page
from explaindebug.runs import read_run

PAGE = Path(__file__).with_name("results.md")
ORDER = ("table2", "mislabelled", "figure7", "table3")
MAPS = "figures/reinit_maps.png"  # as reports call it


def main(arguments: Sequence[str] | None = None) -> Path:
    """The page, written."""
    asked = _parser().parse_args(arguments)
    target = Path(asked.page)
    entries = sorted(map(entry, asked.runs), key=place)
    pictures = {e: drawn for e in entries if (drawn := picture(e, target))}
    text = page(entries, pictures, command="python docs/results.py RUN ...", title="Results")
    return write_atomically(target, text)


def entry(named: str) -> Entry:
    """The run of an argument, FOLDER or EXPERIMENT=FOLDER."""
    name, sign, folder = named.partition("=")
    if sign and name in NAMES:
        return Entry.of(read_run(folder), name)
    return Entry.of(read_run(named))


def place(one: Entry) -> tuple[int, str, str]:
    """Where a run's section stands: in the paper's order."""
    name = one.experiment.name
    return next(k for k, o in enumerate(ORDER) if name.startswith(o)), name, one.run.name


def picture(one: Entry, target: Path) -> str | None:
    """Path, from the page, of a small copy of the run's Figure 7; None for other runs."""
    source = one.run.folder / MAPS
    if one.experiment.name != "figure7" or not source.is_file():
        return None
    small = small_picture(source, target.parent / "pictures" / f"{one.run.folder.name}.png")
    return str(small.relative_to(target.parent))


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
