"""`explaindebug discover`: one checkpoint whose shortcut is known."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
import torch
from manifests import manifest
from torch import nn

from explaindebug.app import discover as app
from explaindebug.app.commands import COMMANDS
from explaindebug.core.errors import ConfigError, DataError

PROJECT = """
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 2))


class Data(pl.LightningDataModule):
    def setup(self, stage):
        images = 0.1 * torch.randn(80, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        images[::2, :, :5, :5] += 1
        images[1::2, :, :5, :5] -= 1
        self.set = TensorDataset(images, torch.arange(80) % 2)

    def test_dataloader(self):
        return DataLoader(self.set, batch_size=20)
"""
ARGUMENTS = ("--model", "discovered_project:linear", "--data", "discovered_project:Data")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network that reads the top left corner, and a blind one."""
    (tmp_path / "discovered_project.py").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "discovered_project", raising=False)
    weight = torch.zeros(2, 16, 16)
    weight[0, :5, :5] = 0.5
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    for name, values in (("corner.pth", weight.view(2, -1)), ("blind.pth", torch.zeros(2, 256))):
        state = {"1.weight": values, "1.bias": torch.zeros(2)}
        network.load_state_dict(state)
        torch.save(state, name)
    return tmp_path


def run(checkpoint: str, *more: str) -> int:
    return app.main([checkpoint, *ARGUMENTS, "--methods", "inputgrad", "--out", "out", *more])


def test_a_shortcut_is_status_one_and_a_failure(project: Path) -> None:
    assert run("corner.pth", "--inputs", "80") == 1
    found = json.loads((project / "out/discover.json").read_text())
    assert found["answer"] == "shows"
    assert "shows" in {one["answer"] for one in found["candidates"]}
    assert not set(found["rows"]["found"]) & set(found["rows"]["held"])
    told = manifest(project / "out", "discover")
    assert set(told["files"]) == {"discover.json", "junit.xml", "report.html", "scores.csv"}
    assert told["outcome"] == "shows"
    assert len(told["answers"]) == len(found["candidates"])
    suite = xml.parse(project / "out/junit.xml").getroot()[0]
    assert int(suite.get("failures") or 0) == sum(
        one["answer"] == "shows" for one in found["candidates"]
    )
    page = (project / "out/report.html").read_text()
    assert "Does the network take a shortcut?" in page
    assert found["made"]["checkpoint"] in page


def test_of_a_blind_network_nothing_is_claimed(project: Path) -> None:
    assert run("blind.pth", "--inputs", "80") == 2
    found = json.loads((project / "out/discover.json").read_text())
    assert found["candidates"] == []


def test_a_twin_that_reads_the_same_clears_the_network(project: Path) -> None:
    assert run("corner.pth", "--inputs", "80", "--control", "corner.pth") != 1
    found = json.loads((project / "out/discover.json").read_text())
    assert all(one["against_twin"] for one in found["candidates"])


def test_what_can_not_work_is_a_sentence_and_leaves_nothing(project: Path) -> None:
    for more, named in (
        (("--inputs", "10"), "10"),
        (("--metadata", "rows.csv"), "folder:PATH"),
        (("--control", "none.pth"), "none.pth"),
        (("--no-such",), "no-such"),
    ):
        with pytest.raises((ConfigError, DataError)) as refused:
            run("corner.pth", *more)
        assert named in str(refused.value)
        assert not (project / "out").exists()


def test_metadata_is_read_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("file,site\nb.png,B\na.png,A\n")
    assert app._metadata(str(path), ["a.png", "b.png"]) == {"site": ["A", "B"]}
    with pytest.raises(DataError, match=r"c\.png"):
        app._metadata(str(path), ["c.png"])
    path.write_text("name\nx\n")
    with pytest.raises(DataError, match="file"):
        app._metadata(str(path), ["a.png"])


def test_the_command_is_registered_and_ends_errors_with_three() -> None:
    command = COMMANDS["discover"]
    assert (command.module, command.failed) == ("explaindebug.app.discover", 3)
