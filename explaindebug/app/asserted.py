"""`explaindebug check ... --assertions FILE`: whether assertions hold, or did before."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from torch import nn

from explaindebug import __version__
from explaindebug.app.checked_images import Inputs
from explaindebug.app.junit import Case, Outcome, write_junit
from explaindebug.app.progress import say
from explaindebug.audit import Asserted, assess
from explaindebug.audit.asserted import Verdict
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.io import write_json
from explaindebug.core.registry import nearest
from explaindebug.core.wording import num
from explaindebug.evaluation.manifest import write_manifest

STATUS: dict[Verdict, int] = {"holds": 0, "violated": 1, "can't tell": 2}
OUTCOMES: dict[Verdict, Outcome] = {
    "holds": "passed",
    "violated": "failed",
    "can't tell": "skipped",
}
OPTIONS = ("assertions", "method", "rate", "margin", "spread")  # of a file that is no plain list
INPUTS = 128  # enough to show that an assertion holds at a rate of 5 %
SCHEMA_VERSION = 1  # of assertions.json


class Asked(NamedTuple):
    """What a file of assertions asks for."""

    assertions: Any
    options: dict[str, Any]  # of `OPTIONS`, as far as given


def read(path: Path) -> Asked:
    """A YAML file: a list of assertions, or `assertions:` with `method:`, `rate:` and so on.

    Raises:
        DataError: for a file that can't be read, or is no YAML.
        ConfigError: for another content.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"--assertions {path}: it can't be read ({error}).") from error
    if isinstance(found, list):
        return Asked(found, {})
    if not isinstance(found, Mapping) or "assertions" not in found:
        raise ConfigError(
            f"--assertions {path}: write a list, such as [class_sensitive, {{on_object: "
            f"{{at_least: 0.5}}}}], or a mapping of {', '.join(OPTIONS)}."
        )
    for name in found:
        if name not in OPTIONS:
            raise ConfigError(
                f"--assertions {path}: unknown {name!r}.{nearest(str(name), list(OPTIONS))} "
                f"Known: {', '.join(OPTIONS)}."
            )
    return Asked(found["assertions"], {k: v for k, v in found.items() if k != "assertions"})


def carried_out(
    asked: Asked, model: nn.Module, inputs: Inputs, references: Sequence[nn.Module], seed: int
) -> Asserted:
    """Assess the network on the inputs; a null that says something of a threshold is printed."""
    return assess(
        model,
        inputs.images,
        asked.assertions,
        masks=inputs.masks,
        labels=inputs.labels,
        reference=references or None,
        seed=seed,
        **asked.options,
    )


def written(found: Asserted, folder: Path, made: Mapping[str, str], seconds: float) -> int:
    """Write everything to the folder, print a line per assertion; returns the exit status."""
    found.to_csv(folder / "assertions.csv")
    found.scores.to_csv(folder / "scores.csv")
    write_junit(folder / "junit.xml", "explaindebug assertions", cases(found), seconds)
    plain = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "verdict": found.verdict,
        "regressed": found.regressed,
        "assertions": [vars(one) for one in found.outcomes],
        "made": {**found.made, **made, "finished": time.strftime("%Y-%m-%d %H:%M:%S")},
    }
    write_json(folder / "assertions.json", plain)
    write_manifest(
        folder,
        "assertions",
        command=made["command"],
        details="assertions.json",
        outcome=found.verdict,
        answers={one.name: one.verdict for one in found.outcomes},
    )
    for one in found.outcomes:
        say(f"{one.name}: {one.verdict}. {one.claim}; {one.reason}")
        said = f"shuffled maps {num(one.null)}" if one.null == one.null else ""
        said += f" {one.note}" if one.note else ""
        if said:
            say(f"  {said}")
    say(f"\neverything is in {folder}")
    return STATUS[found.verdict]


def cases(found: Asserted) -> list[Case]:
    """A test case for each assertion, and with a reference one for its regression."""
    held = [Case("holds", one.name, OUTCOMES[one.verdict], one.reason) for one in found.outcomes]
    worse = [
        Case("not regressed", one.name, "failed" if one.regressed else "passed", one.reason)
        for one in found.outcomes
        if one.regressed is not None
    ]
    return [*held, *worse]
