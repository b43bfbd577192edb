"""`explaindebug check --assertions`: exit status, files and JUnit of a stranger's project."""

import csv
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
import torch
from manifests import manifest
from torch import nn

from explaindebug.app import asserted
from explaindebug.app import check as app
from explaindebug.core.errors import ConfigError, DataError

Command = Callable[..., tuple[int, str, str]]  # exit status, stdout, stderr
PROJECT = """
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))


def bright(outputs, maps, batch):
    return batch.image[:, 0, 0, 0] > 0


class Data(pl.LightningDataModule):
    def val_dataloader(self):
        images = torch.randn(80, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(images, torch.zeros(80).long()), batch_size=20)
"""
GOOD, BAD = "good.pth", "bad.pth"  # networks whose gradient is in the middle, or in a corner


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "asserting_project.py").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "asserting_project", raising=False)
    for name, place in ((GOOD, slice(3, 5)), (BAD, slice(0, 2))):
        weight = 0.01 * torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1))
        weight[:, place, place] += torch.tensor([1.0, -1.0]).view(2, 1, 1)
        made = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
        made.load_state_dict({"1.weight": weight.flatten(1), "1.bias": torch.zeros(2)})
        torch.save(made.state_dict(), name)
    return tmp_path


def ask(text: str, method: str = "grad") -> None:
    Path("asked.yaml").write_text(f"method: {method}\nassertions: {text}\n")


def run(checkpoint: str, *arguments: str) -> int:
    where = ("--model", "asserting_project:linear", "--data", "asserting_project:Data")
    with warnings.catch_warnings(action="ignore"):
        return app.main(
            [checkpoint, *where, "--assertions", "asked.yaml", "--out", "out", *arguments]
        )


def rows() -> dict[str, dict[str, str]]:
    with open("out/assertions.csv", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_status_says_whether_assertions_hold(project: Path) -> None:
    ask("[off_region, not_constant]")
    assert run(GOOD) == 0
    told = manifest(Path("out"), "assertions")
    assert set(told["files"]) == {"assertions.csv", "assertions.json", "junit.xml", "scores.csv"}
    assert told["answers"] == {"off_region": "holds", "not_constant": "holds"}
    assert run(BAD) == 1
    assert manifest(Path("out"), "assertions")["outcome"] == "violated"
    assert (rows()["off_region"]["rate"], rows()["not_constant"]["rate"]) == ("1.0", "0.0")
    assert run(GOOD, "--inputs", "20") == 2
    ask("['asserting_project:bright']")
    assert run(GOOD) == 1
    assert 0.2 < float(rows()["bright"]["rate"]) < 0.8


def test_a_regression_fails_where_the_reference_did_better(project: Path) -> None:
    ask("[off_region]")
    Path("asked.yaml").write_text("{method: grad, rate: 0.99, assertions: [off_region]}")
    assert run(GOOD, "--reference", BAD) == 0
    assert run(BAD, "--reference", GOOD, GOOD) == 1
    found = json.loads(Path("out/assertions.json").read_text())
    assert found["regressed"] == ["off_region"]
    assert found["made"]["rate"] == "0.99"
    assert {"checkpoint", "reference", "reference: 2", "command", "method"} <= set(found["made"])
    assert len(found["assertions"][0]["controls"]) == 2
    suite = xml.parse("out/junit.xml").getroot()[0]
    cases = {c.get("classname"): c.find("failure") is not None for c in suite}
    assert cases["not regressed"]
    assert suite.get("tests") == "2"


def test_files_that_ask_for_nothing_are_refused(project: Path) -> None:
    for text in ("", "7", "a: [", "{assertion: [finite]}", "{assertions: [finite], rat: 1}"):
        Path("asked.yaml").write_text(text)
        with pytest.raises((ConfigError, DataError), match="--assertions"):
            run(GOOD)
    ask("[finit]")
    with pytest.raises(ConfigError, match="finite"):
        run(GOOD)
    with pytest.raises(DataError):
        asserted.read(Path("nowhere.yaml"))
    where = ("--model", "asserting_project:linear", "--data", "asserting_project:Data")
    with pytest.raises(ConfigError, match="--assertions"):
        app.main([GOOD, *where, "--reference", BAD])
    assert not Path("out").exists()


@pytest.mark.filterwarnings("ignore:explaindebug. off_region")
def test_the_command_exits_with_the_status(project: Path, command: Command) -> None:
    ask("[off_region]")
    where = ("--model", "asserting_project:linear", "--data", "asserting_project:Data")
    asked = ("--assertions", "asked.yaml", "--out", "out")
    status, said, errors = command("explaindebug", "check", BAD, *where, *asked)
    assert status == 1, errors
    assert "off_region: violated" in said
