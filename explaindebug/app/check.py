"""`explaindebug check CHECKPOINT --model ... --data ...`: which maps can be read on one network."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from explaindebug import __version__
from explaindebug.app.checked_command import FAILED, Parser, chosen_methods, given, provenance
from explaindebug.app.junit import Case, Outcome, write_junit
from explaindebug.app.progress import console, say
from explaindebug.audit import Checked, check
from explaindebug.audit.check import METHODS
from explaindebug.core.io import writable_folder, write_json
from explaindebug.evaluation.fitness import Fit
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.report.console.check import print_check

ABOUT = """Is the model broken, or the map? One checkpoint, no second network, no training: does
each method's map depend on the class, on the weights and on the input, and is it stable? With
masks: does the network rely on the object, and does the map lie on it?"""
STATUS: dict[Fit, int] = {"fit": 0, "not fit": 1, "can't tell": 2}
OUTCOMES: dict[Fit, Outcome] = {"fit": "passed", "not fit": "failed", "can't tell": "skipped"}
REFUSED: Outcome = "skipped"
SCHEMA_VERSION = 1  # of check.json


def main(arguments: Sequence[str]) -> int:
    """Check, write the folder, print the table; returns the exit status.

    Raises:
        ConfigError, DataError, UnsupportedModelError: before anything is explained.
    """
    asked = _parser().parse_args(arguments)
    started = time.perf_counter()
    model, inputs = given(asked)
    found = check(
        model,
        inputs.images,
        methods=chosen_methods(asked),
        labels=inputs.labels,
        masks=inputs.masks,
        picture=stretched if inputs.how is None else inputs.picture,
        captions=inputs.names or None,
        seed=asked.seed,
    )
    seconds = time.perf_counter() - started
    folder = writable_folder(Path(asked.out or time.strftime("outputs/%Y-%m-%d/%H-%M-%S-check")))
    made = provenance("check", arguments, asked, len(inputs.images), seconds)
    found.result.made = made
    found.scores.to_csv(folder / "scores.csv")
    report = found.report(folder / "report.html")
    write_junit(folder / "junit.xml", "explaindebug check", cases(found), seconds)
    write_json(folder / "check.json", plain(found))  # last: if it exists, the folder is complete
    print_check(found.result, found.verdicts, found.fitness, found.refused, found.reliance, console)
    say(f"\neverything is in {folder}; open {report}")
    return STATUS[found.fit]


def cases(found: Checked) -> list[Case]:
    """A test case for each method: whether it can be read."""
    names = found.result.methods
    judged = [(names[one.method], OUTCOMES[one.fit], one.reason) for one in found.fitness]
    refused = [(m, REFUSED, why) for m, why in found.refused.items()]
    return [Case("fit to be read", *one) for one in (*judged, *refused)]


def plain(found: Checked) -> dict[str, Any]:
    """The answer as plain values, for `check.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "fit": found.fit,
        "methods": {one.method: {"fit": one.fit, "reason": one.reason} for one in found.fitness},
        "refused": dict(found.refused),
        "verdicts": [asdict(verdict) for verdict in found.verdicts],
        "made": dict(found.result.made),
    }


def _parser() -> Parser:
    parser = Parser(
        prog="explaindebug check",
        description=ABOUT,
        epilog="Exit status: 0 every method is fit to be read, 1 one is not, 2 undecided, "
        f"{FAILED} the check could not be made.",
    )
    parser.add_checkpoint(methods=METHODS, inputs=64, file="check.json")
    return parser
