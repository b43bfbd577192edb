"""What every folder must hold that a run or command has finished."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from explaindebug.evaluation.manifest import LOGGERS, NAME, changed_files, manifest_schema


def manifest(folder: Path, kind: str) -> dict[str, Any]:
    """The manifest of a folder: valid, of this kind, of all files, each as it is said to be."""
    found: dict[str, Any] = json.loads((folder / NAME).read_text())
    jsonschema.Draft202012Validator(manifest_schema()).validate(found)
    assert found["kind"] == kind
    assert changed_files(folder) == []
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    held = {path.as_posix() for path in paths if path.parts[0] not in (*LOGGERS, NAME)}
    assert set(found["files"]) == {name for name in held if not name.startswith(".")}
    assert found["details"] in found["files"]
    return found
