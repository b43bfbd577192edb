"""`explaindebug check CHECKPOINT --model ... --data ...`: which maps can be read on one network."""

import argparse
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import file_digest
from pathlib import Path
from typing import Any, NoReturn

from explaindebug import __version__
from explaindebug.app import asserted
from explaindebug.app.checked_images import FOLDER, Inputs, from_folder, from_module
from explaindebug.app.checked_model import LIBRARIES, network, parsed
from explaindebug.app.junit import Case, Outcome, write_junit
from explaindebug.app.progress import console, say
from explaindebug.audit import Checked, check
from explaindebug.audit.check import METHODS
from explaindebug.core.environment import versions
from explaindebug.core.errors import ConfigError
from explaindebug.core.io import writable_folder, write_json
from explaindebug.core.validation import whole
from explaindebug.datamodules.normalising import NORMALISATIONS, Normalisation
from explaindebug.evaluation.fitness import Fit
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.report.console.check import print_check

ABOUT = """Is the model broken, or the map? One checkpoint, no second network, no training: does
each method's map depend on the class, on the weights and on the input, and is it stable? With
masks: does the network rely on the object, and does the map lie on it?"""
STATUS: dict[Fit, int] = {"fit": 0, "not fit": 1, "can't tell": 2}
FAILED = 3  # the check could not be made
OUTCOMES: dict[Fit, Outcome] = {"fit": "passed", "not fit": "failed", "can't tell": "skipped"}
REFUSED: Outcome = "skipped"
SCHEMA_VERSION = 1  # of check.json
INPUTS = 64


def main(arguments: Sequence[str]) -> int:
    """Check, write the folder, print the table; returns the exit status.

    Raises:
        ConfigError, DataError, UnsupportedModelError: before anything is explained.
    """
    asked = _parser().parse_args(arguments)
    started = time.perf_counter()
    assertions = None if asked.assertions is None else asserted.read(Path(asked.assertions))
    if asked.inputs is None:
        asked.inputs = INPUTS if assertions is None else asserted.INPUTS
    if asked.reference and assertions is None:
        raise ConfigError("--reference goes with --assertions FILE, which it is compared by.")
    whole("--inputs", asked.inputs, least=2)
    whole("--size", asked.size, least=1)
    methods: Any = "all" if asked.methods == "all" else asked.methods.split(",")
    made_with = parsed(asked.model_arg, "--model-arg")
    model = network(asked.model, Path(asked.checkpoint), made_with)
    before = network(asked.model, Path(asked.reference), made_with) if asked.reference else None
    inputs = _inputs(asked)
    if assertions is not None:
        judged = asserted.carried_out(assertions, model, inputs, before, asked.seed)
        seconds = time.perf_counter() - started
        folder = _folder(asked)
        return asserted.written(judged, folder, _made(asked, arguments, inputs, seconds), seconds)
    found = check(
        model,
        inputs.images,
        methods=methods,
        labels=inputs.labels,
        masks=inputs.masks,
        picture=stretched if inputs.how is None else inputs.picture,
        captions=inputs.names or None,
        seed=asked.seed,
    )
    seconds = time.perf_counter() - started
    folder = _folder(asked)
    found.result.made = _made(asked, arguments, inputs, seconds)
    found.scores.to_csv(folder / "scores.csv")
    report = found.report(folder / "report.html")
    write_junit(folder / "junit.xml", "explaindebug check", cases(found), seconds)
    write_json(folder / "check.json", plain(found))  # last: if it exists, the folder is complete
    print_check(found.result, found.verdicts, found.fitness, found.refused, found.reliance, console)
    say(f"\neverything is in {folder}; open {report}")
    return STATUS[found.fit]


def _folder(asked: argparse.Namespace) -> Path:
    return writable_folder(Path(asked.out or time.strftime("outputs/%Y-%m-%d/%H-%M-%S-check")))


def _made(
    asked: argparse.Namespace, arguments: Sequence[str], inputs: Inputs, seconds: float
) -> dict[str, str]:
    """How the result was made, for those who want to make it again."""
    made = {
        "command": shlex.join(["explaindebug", "check", *arguments]),
        "checkpoint": f"{asked.checkpoint}, SHA-256 {digest(Path(asked.checkpoint))}",
        "inputs": f"{len(inputs.images)} of {asked.data}",
        "seed": str(asked.seed),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "time": f"{seconds:.0f} s",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
    if asked.reference:
        made["reference"] = f"{asked.reference}, SHA-256 {digest(Path(asked.reference))}"
    return made


def cases(found: Checked) -> list[Case]:
    """A test case for each method: whether it can be read."""
    names = found.result.methods
    judged = [(names[one.method], OUTCOMES[one.fit], one.reason) for one in found.fitness]
    refused = [(m, REFUSED, why) for m, why in found.refused.items()]
    return [Case("fit to be read", *one) for one in (*judged, *refused)]


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


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


def _inputs(asked: argparse.Namespace) -> Inputs:
    kind, _, rest = asked.data.partition(":")
    if kind != FOLDER:
        if asked.masks:
            raise ConfigError(
                "--masks goes with --data folder:PATH; batches of a data module carry `signal`, "
                "True where the object is not."
            )
        return from_module(asked.data, parsed(asked.data_arg, "--data-arg"), asked.inputs)
    how = (
        Normalisation((0.0,), (1.0,))
        if asked.normalise == "none"
        else NORMALISATIONS[asked.normalise]
    )
    return from_folder(
        Path(rest).expanduser(),
        asked.inputs,
        size=asked.size,
        crop=asked.crop,
        how=how,
        masks=None if asked.masks is None else Path(asked.masks).expanduser(),
        seed=asked.seed,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="explaindebug check",
        description=ABOUT,
        epilog="Exit status: 0 every method is fit to be read (every assertion holds), 1 one is "
        "not (is violated, or violated more often than by the reference), 2 undecided, "
        f"{FAILED} the check could not be made.",
    )
    add = parser.add_argument
    add("checkpoint", help="weights: .ckpt, .pt, .pth or .safetensors; only tensors are read")
    add(
        "--model",
        required=True,
        metavar="SPEC",
        help=f"{' or '.join(f'{name}:NAME' for name in LIBRARIES)}, or MODULE:CLASS of your own",
    )
    add("--data", required=True, metavar="SPEC", help="folder:PATH, or MODULE:CLASS of your own")
    add("--model-arg", action="append", default=[], metavar="NAME=VALUE", help="for your class")
    add("--data-arg", action="append", default=[], metavar="NAME=VALUE", help="for your class")
    add("--methods", default=",".join(METHODS), help=f"names, or all ({','.join(METHODS)})")
    add("--masks", metavar="PATH", help="folder of the objects' masks, named as the pictures")
    add("--assertions", metavar="FILE", help="YAML list of assertions to check instead")
    add("--reference", metavar="FILE", help="an earlier checkpoint, to tell what got worse")
    add("--inputs", type=int, metavar="N", help=f"{INPUTS}, or {asserted.INPUTS} for assertions")
    add("--size", type=int, default=224, help="height and width of a folder's pictures (224)")
    add("--crop", type=float, default=1.0, help="centre square, as a share of the shorter side (1)")
    add("--normalise", default="imagenet", help="imagenet or none, of a folder's pictures")
    add("--out", metavar="DIR", help="folder for the page, scores.csv, check.json, junit.xml")
    add("--seed", type=int, default=0, help="of everything random (0)")
    return parser
