"""A run as it lies in its folder: written by the application, read again to be compared."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from explaindebug.core.errors import DataError
from explaindebug.evaluation.detection import Detector
from explaindebug.evaluation.results import Gate, Headline, Layout, RunResult, TestResult
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Fault, Unscored

AGAIN = " Run it again into a new folder; trained networks are reused."


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: what it found, and the settings that it was made with."""

    folder: Path
    result: RunResult  # without galleries: maps are kept as pictures, not as numbers
    settings: Mapping[str, Any]  # dotted keys of the configuration: "bug.labels.rate": 0.1

    @property
    def name(self) -> str:
        """The folder, as a person gave it."""
        return str(self.folder)


DOMAINS = ("data", "foreign")  # of a run that does not say which of both a test needed
SCHEMA_VERSION = 1  # of results.json; what `results.schema.json` describes
D = TypeVar("D", Gate, Detector)


def results_schema() -> dict[str, Any]:
    """The JSON schema of `results.json`."""
    text = (
        resources.files("explaindebug.evaluation")
        .joinpath("results.schema.json")
        .read_text("utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


def described(result: RunResult) -> dict[str, Any]:
    """What `read_run` must know of a run beside its scores, as plain values for `results.json`."""
    return {"methods": dict(result.methods), "tests": [_test(test) for test in result.tests]}


def read_run(folder: Path | str) -> Run:
    """The run that lies in a folder.

    Raises:
        DataError: where there is none, or it was cut before its end, or its files are damaged.
    """
    folder = Path(folder)
    found, note = _json(folder, "results.json"), _json(folder, "run.json")
    version = found.get("schema_version", 0)
    if version != SCHEMA_VERSION or "settings" not in note:
        which = "a newer" if isinstance(version, int) and version > SCHEMA_VERSION else "an older"
        raise DataError(
            f"{folder} holds a run of {which} version of explaindebug: its results.json has schema "
            f"{version}, this version reads {SCHEMA_VERSION}, and they don't fit together. Run it "
            f"again ({note.get('command', 'command unknown')}); trained networks are reused."
        )
    try:
        settings = dict(flat(note["settings"]))
        scores = Scores.from_csv(folder / "scores.csv")
        tests = [_read(told, scores, found) for told in found["tests"]]
        rows = [(str(model), str(data), _number(x)) for model, data, x in found["accuracies"]]
        methods = {str(key): str(name) for key, name in found["methods"].items()}
        made = dict(found.get("made", {}))
        _check(tests, rows, scores, settings)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        if isinstance(error, DataError):
            raise DataError(f"{folder} is damaged: {error}{AGAIN}") from error
        raise DataError(
            f"{folder}: its files don't fit together ({type(error).__name__}: {error}). "
            "Run it again into a new folder."
        ) from error
    return Run(folder, RunResult(tests, methods, rows, made), settings)


def _check(
    tests: Sequence[TestResult],
    accuracies: Sequence[tuple[str, str, float]],
    scores: Scores,
    settings: Mapping[str, Any],
) -> None:
    """Raises DataError for parts of a run that don't belong together, or can't be."""
    if missing := {"seed", "margin", "level"} - settings.keys():
        raise DataError(f"run.json lacks the settings {', '.join(sorted(missing))}.")
    if more := set(scores.unique("test")) - {test.name for test in tests}:
        raise DataError(f"scores.csv has tests that results.json does not: {', '.join(more)}.")
    for model, data, value in accuracies:
        if not 0 <= value <= 1:
            raise DataError(f"the accuracy of {model} on {data} is {value}.")
    for test in tests:
        if test.headline.moves not in ("up", "down"):
            raise DataError(f"{test.name} moves {test.headline.moves!r}, neither up nor down.")


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings by dotted keys."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _test(test: TestResult) -> dict[str, Any]:
    return {
        "name": test.name,
        "kind": test.kind,
        "title": test.title,
        "rows": dict(test.rows),
        "layout": asdict(test.layout),
        "domains": list(test.domains),
        "scores": test.scores.digest,  # of its part of scores.csv
        "headline": asdict(test.headline),
        "stages": list(test.stages),
        "agreement": dict(test.agreement),
        "clusters": {str(row): name for row, name in test.clusters.items()},
        "warnings": list(test.warnings),
        "unscored": [
            {
                "test": key.test,
                "method": key.method,
                "condition": key.condition,
                "role": key.role,
                "fault": fault.id,
                "inputs": list(rows),
            }
            for key, fault, rows in test.unscored
        ],
        "questions": [asdict(question) for question in test.questions],
    }


def _read(told: Mapping[str, Any], scores: Scores, found: Mapping[str, Any]) -> TestResult:
    gates, detectors = (
        [line for line in found[what] if line["test"] == told["name"]]
        for what in ("gates", "detectors")
    )
    own = scores.select(test=told["name"])
    if own.digest != told["scores"]:
        raise DataError(
            f"scores.csv does not hold the scores of {told['name']!r} that results.json was made "
            "from: it was cut, changed, or is that of another run."
        )
    return TestResult(
        str(told["name"]),
        str(told["title"]),
        Headline(**told["headline"]),
        own,
        gates=[_record(Gate, gate) for gate in gates],
        stages=told["stages"],
        agreement={stage: _number(share) for stage, share in told["agreement"].items()},
        facts=found["facts"].get(told["name"], {}),
        clusters={int(row): name for row, name in told["clusters"].items()},
        warnings=told["warnings"],
        unscored=[_unscored(one) for one in told["unscored"]],
        questions=[Headline(**question) for question in told["questions"]],
        detectors=[_record(Detector, detector) for detector in detectors],
        kind=told.get("kind", ""),
        rows=told.get("rows", {}),
        layout=_layout(told.get("layout", {})),
        domains=tuple(told.get("domains", DOMAINS)),
    )


def _layout(told: Mapping[str, Any]) -> Layout:
    return Layout(**{**told, "similarities": tuple(told["similarities"])} if told else {})


def _record(kind: type[D], told: Mapping[str, Any]) -> D:
    """A record of that kind; numbers that JSON has no form for are numbers again."""
    known = {f.name: f.type for f in fields(kind)}
    own = {name: told[name] for name in known if name in told}
    values: dict[str, Any] = {
        name: _number(x) if known[name] is float else x for name, x in own.items()
    }
    return kind(**values)


def _number(told: float | str | None) -> float:
    """A number as `as_json` has written it."""
    return math.nan if told is None else float(told)


def _unscored(told: Mapping[str, Any]) -> Unscored:
    key = Key(told["test"], told["method"], told["condition"], told["role"])
    return Unscored(key, Fault[told["fault"].upper()], tuple(told["inputs"]))


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        started = (folder / "run.json").is_file()
        why = "a run that was cut before its end: start it again with the same output=..."
        raise DataError(f"{folder} holds {why if started else 'no run of explaindebug.'}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / name} can't be read: {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"{folder / name} holds no results.")
    return found
