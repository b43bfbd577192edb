"""A run with NaN in its maps ends with an error; one whose maps are zero does not."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.attributions.gradient import Gradient
from explaindebug.evaluation.unscored import Fault

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def hollow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method `hollow` whose maps are all zero, or NaN if it is `broken`."""
    list(ATTRIBUTIONS)  # all others are found first
    monkeypatch.setattr(ATTRIBUTIONS, "_entries", dict(ATTRIBUTIONS._entries))

    @ATTRIBUTIONS.register("hollow")
    @dataclass(frozen=True)
    class Hollow(Gradient):
        label = "Finite"  # what it is called decides nothing
        broken: bool = False

        def reduce(self, *brought: Any, **options: Any) -> Tensor:
            value = math.nan if self.broken else 0.0
            return torch.full_like(super().reduce(*brought, **options), value)


def hollow_run(run: Run, folder: Path, broken: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, stderr and results.json of a run with such maps."""
    status, said = run(
        "output=out", "bug=reinit", f"attributions=[grad,{{hollow:{{broken:{broken}}}}}]"
    )
    return status, said, json.loads((folder / "out" / "results.json").read_text())


@pytest.mark.usefixtures("hollow")
def test_maps_of_nan_are_an_error_though_all_is_written(run: Run, tmp_path: Path) -> None:
    status, said, results = hollow_run(run, tmp_path, "true")
    assert status == 1
    assert "the run is complete, but hollow (reinit" in said
    assert "grad" not in said
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.html", "scores.csv"}
    found = results["tests"][0]["unscored"]
    faults = {one["fault"] for one in found}
    assert faults == {Fault.MAP_NOT_FINITE.id, Fault.REFERENCE_NOT_FINITE.id}
    assert {one["method"] for one in found} == {"hollow"}
    assert all(len(one["inputs"]) == 6 for one in found)
    (verdict,) = (v for v in results["verdicts"] if v["method"] == "hollow")
    assert verdict["effect"] is None
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        values = {line["value"] for line in csv.DictReader(file) if line["method"] == "hollow"}
    assert values == {"nan"}


@pytest.mark.usefixtures("hollow")
def test_constant_maps_are_only_noted(run: Run, tmp_path: Path) -> None:
    status, said, results = hollow_run(run, tmp_path, "false")
    assert (status, said) == (0, "")
    faults = {one["fault"] for one in results["tests"][0]["unscored"]}
    assert faults == {Fault.MAP_CONSTANT.id, Fault.REFERENCE_CONSTANT.id}
    assert any("hollow" in warning for warning in results["warnings"])
