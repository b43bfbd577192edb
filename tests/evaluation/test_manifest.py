"""The manifest of a folder: what it lists, and what it notices."""

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fake_run import fake_run, fake_verdicts
from manifests import manifest

from explaindebug.core.errors import DataError
from explaindebug.evaluation.manifest import (
    NAME,
    SCHEMA_VERSION,
    begin,
    changed_files,
    manifest_schema,
    write_manifest,
)
from explaindebug.evaluation.results import Verdict

RUN = fake_run(inputs=1, size=16)
VERDICTS = fake_verdicts(RUN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("scores.csv", "results.json", "pictures/a.png", "wandb/run.wandb", ".running"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    written(tmp_path)
    return tmp_path


def written(folder: Path, **more: Any) -> None:
    write_manifest(folder, "run", command="python train.py", details="results.json", **more)


def test_all_files_but_those_of_loggers_and_hidden_ones_are_listed(folder: Path) -> None:
    found = manifest(folder, "run")
    assert list(found["files"]) == ["pictures/a.png", "results.json", "scores.csv"]
    assert found["files"]["scores.csv"]["bytes"] == len("scores.csv")


def test_a_changed_and_a_lost_file_are_noticed_and_new_ones_are_nobodys_business(
    folder: Path,
) -> None:
    (folder / "scores.csv").write_text("scores.csw")
    (folder / "pictures/a.png").unlink()
    (folder / "notes.txt").write_text("mine")
    assert changed_files(folder) == ["pictures/a.png", "scores.csv"]


def test_verdicts_and_gates_are_those_of_the_run(folder: Path) -> None:
    written(folder, verdicts=VERDICTS, tests=RUN.tests)
    found = manifest(folder, "run")
    kept = {"p": "p_adjusted", "inputs": "n"}
    for told, verdict in zip(found["verdicts"], VERDICTS, strict=True):
        for name, value in told.items():
            own = getattr(verdict, kept.get(name, name))
            own = list(own) if isinstance(own, tuple) else own
            assert value == (None if isinstance(own, float) and math.isnan(own) else own), name
    assert {kept.get(name, name) for name in found["verdicts"][0]} <= {
        field.name for field in fields(Verdict)
    }
    assert {gate["test"]: gate["passed"] for gate in found["gates"]} == {
        test.name: not test.void for test in RUN.tests if test.gates
    }


def test_a_run_that_begins_again_is_not_complete(folder: Path) -> None:
    begin(folder)
    with pytest.raises(DataError, match="not finished"):
        changed_files(folder)
    begin(folder)  # also where there is none


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "can't be read"),
        ("[]", "can't be read"),
        (json.dumps({"schema_version": 99, "files": {}}), "schema 99"),
    ],
)
def test_what_is_no_manifest_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / NAME).write_text(text)
    with pytest.raises(DataError, match=said):
        changed_files(folder)


def test_the_schema_is_of_this_version_and_strict() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert set(schema["required"]) == set(schema["properties"])
    for part in schema["$defs"].values():
        assert set(part.get("required", ())) == set(part.get("properties", ()))
