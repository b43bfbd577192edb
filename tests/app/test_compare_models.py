"""`explaindebug compare-models`: two checkpoints of a stranger's project."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
import torch
from manifests import manifest

from explaindebug.app import compare_models as app
from explaindebug.core.errors import ConfigError, DataError

Command = Callable[..., tuple[int, str, str]]  # exit status, stdout, stderr
SIDE = 8
PROJECT = f"""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def net(classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear({SIDE * SIDE}, classes))


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten()
        self.own = nn.Linear({SIDE * SIDE}, 3)

    def forward(self, x):
        return self.own(self.flat(x))


class Data:
    def val_dataloader(self):
        images = torch.arange(24 * {SIDE * SIDE}).mul(12.9898).sin().view(24, 1, {SIDE}, {SIDE})
        return DataLoader(TensorDataset(images, torch.zeros(24, dtype=torch.int64)), batch_size=8)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with checkpoints: old, a retrained seed, and a new one with swapped weights."""
    (tmp_path / "two_versions.py").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "two_versions", raising=False)
    drawn = torch.randn(4, 3, SIDE * SIDE, generator=torch.Generator().manual_seed(0))
    bias = torch.tensor([1e3, 0.0, 0.0])
    weights = {
        "old": drawn[0],
        "seed": drawn[0] + 0.1 * drawn[1],
        "new": drawn[0][[1, 0, 2]],
    }
    for name, weight in weights.items():
        torch.save({"1.weight": weight, "1.bias": bias}, f"{name}.pth")
    torch.save({"own.weight": drawn[0], "own.bias": bias}, "wide.pth")
    torch.save({"1.weight": drawn[0][:2], "1.bias": bias[:2]}, "two.pth")
    return tmp_path


SHARED = ("--model", "two_versions:net", "--data", "two_versions:Data", "--methods", "grad")


def run(*arguments: str) -> int:
    return app.main([*arguments, *SHARED, "--out", "out"])


def test_a_changed_reason_fails_beside_a_retrained_seed(project: Path) -> None:
    assert run("old.pth", "new.pth", "--seed-twin", "seed.pth") == 1
    told = manifest(project / "out", "compare-models")
    assert set(told["files"]) == {
        "junit.xml", "report.html", "scores.csv", "versions.csv", "versions.json"
    }  # fmt: skip
    assert (told["outcome"], told["answers"]) == ("changed", {"grad": "changed"})
    found = json.loads((project / "out/versions.json").read_text())
    assert found["reasons"] == found["methods"]["grad"]["reasons"] == "changed"
    assert found["control"] == "retrained seed"
    suite = xml.parse(project / "out/junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    with (project / "out/versions.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 24
    assert all(float(one["control: grad"]) > float(one["similarity: grad"]) for one in lines)
    assert all(one["kept"] == one["counted"] == "True" for one in lines)
    assert "Same answer, same reason?" in (project / "out/report.html").read_text()


def test_the_same_checkpoint_passes_with_and_without_a_seed(project: Path) -> None:
    assert run("old.pth", "old.pth") == 0
    assert run("old.pth", "old.pth", "--seed-twin", "seed.pth") == 0
    suite = xml.parse(project / "out/junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")


def test_another_architecture_is_named(project: Path) -> None:
    wide = ("--new-model", "two_versions:Wide")
    assert run("old.pth", "wide.pth", *wide, "--seed-twin", "seed.pth") == 0
    facts = json.loads((project / "out/versions.json").read_text())["facts"]
    assert facts["old version"].startswith("Sequential")
    assert facts["new version"].startswith("Wide")


def test_a_budget_that_is_too_short_is_said(project: Path) -> None:
    assert run("old.pth", "old.pth", "--budget", "0.000001") == 2
    found = json.loads((project / "out/versions.json").read_text())
    assert len(found["warnings"]) == 1
    assert "1 of 24 inputs" in found["warnings"][0]


def test_the_command_line_ends_with_the_status_and_errors_with_three(
    project: Path, command: Command
) -> None:
    def typed(*arguments: str) -> tuple[int, str, str]:
        return command("explaindebug", "compare-models", *arguments)

    status, _, said = typed("old.pth", "new.pth", *SHARED, "--out", "out")  # no control
    assert status == 2, said
    assert json.loads((project / "out/versions.json").read_text())["control"] == "noise"
    status, _, said = typed("old.pth", "none.pth", *SHARED)
    assert status == 3
    assert said.startswith("error: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("old.pth",), "new"),
        (("old.pth", "none.pth"), "none.pth"),
        (("old.pth", "wide.pth"), "fit"),
        (("old.pth", "new.pth", "--seed-twin", "wide.pth"), "fit"),
        (("old.pth", "new.pth", "--new-model-arg", "classes=2"), "--new-model"),
        (("old.pth", "two.pth", "--new-model", "two_versions:net"), "fit"),
        (
            ("old.pth", "two.pth", "--new-model", "two_versions:net", "--new-model-arg",
             "classes=2"), "outputs",
        ),
        (("old.pth", "new.pth", "--budget", "0"), "--budget"),
        (("old.pth", "new.pth", "--budget", "soon"), "--budget"),
        (("old.pth", "new.pth", "--inputs", "1"), "--inputs"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_a_sentence_and_leaves_nothing(
    project: Path, arguments: Sequence[str], named: str
) -> None:
    with pytest.raises((ConfigError, DataError)) as refused:
        run(*arguments)
    assert named in str(refused.value)
    assert not (project / "out").exists()
