"""`explaindebug check`: one checkpoint, as a stranger's project has it."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pytest
import torch
from manifests import manifest
from PIL import Image
from torch import nn

from explaindebug.app import check as app
from explaindebug.app.checked_images import from_folder, from_module
from explaindebug.app.checked_model import network, parsed
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.datamodules.normalising import Normalisation

SIDE = 16
Command = Callable[..., tuple[int, str, str]]  # exit status, stdout, stderr
PROJECT = f"""
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(pl.LightningModule):
    def __init__(self, width, classes=3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(width * {SIDE * SIDE}, classes),
        )

    def forward(self, x):
        return self.net(x)


class Data(pl.LightningDataModule):
    def __init__(self, count=24, labels=3):
        super().__init__()
        self.count, self.labels = count, labels

    def setup(self, stage):
        images = torch.arange(self.count * 3 * {SIDE * SIDE}).mul(12.9898).sin().mul(2)
        images = images.view(self.count, 3, {SIDE}, {SIDE})
        self.set = TensorDataset(images, torch.arange(self.count) % self.labels)

    def val_dataloader(self):
        return DataLoader(self.set, batch_size=5)


class Masked(Data):  # objects are in the upper half
    def val_dataloader(self):
        def batch(items):
            images = torch.stack([image for image, _ in items])
            signal = torch.ones(len(items), 1, {SIDE}, {SIDE}, dtype=torch.bool)
            signal[:, :, : {SIDE // 2}] = False
            labels = torch.stack([label for _, label in items])
            return {{"image": images, "label": labels, "signal": signal}}

        return DataLoader(self.set, batch_size=5, collate_fn=batch)


class NoData:
    pass


def constant():
    return nn.Sequential(nn.Flatten(), nn.Linear({3 * SIDE * SIDE}, 3))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stranger's module and a checkpoint of it, which is where the user is."""
    (tmp_path / "own_project.py").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_project", raising=False)
    import own_project  # type: ignore[import-not-found]

    torch.manual_seed(0)
    module = own_project.Classifier(4)
    torch.save(
        {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}, "own.ckpt"
    )
    linear = own_project.constant()
    torch.save(linear.state_dict(), "linear.pth")
    return tmp_path


def run(*arguments: str) -> int:
    return app.main([*arguments, "--out", "out"])


OWN = ("own.ckpt", "--model", "own_project:Classifier", "--data", "own_project:Data")


def test_a_project_of_ones_own_is_checked_with_its_saved_arguments(project: Path) -> None:
    status = run(*OWN, "--methods", "inputgrad,grad")
    found = json.loads((project / "out/check.json").read_text())
    assert status == {"fit": 0, "not fit": 1, "can't tell": 2}[found["fit"]]
    assert set(found["methods"]) == {"inputgrad", "grad"}
    assert {v["test"] for v in found["verdicts"]} == {"class", "head", "input", "noise"}
    told = manifest(project / "out", "check")
    assert set(told["files"]) == {"check.json", "junit.xml", "report.html", "scores.csv"}
    assert told["outcome"] == found["fit"]
    assert told["answers"] == {name: one["fit"] for name, one in found["methods"].items()}
    page = (project / "out/report.html").read_text()
    assert "Is the model broken, or the map?" in page
    assert found["made"]["checkpoint"] in page


def test_the_layer_that_grad_cam_took_is_said(project: Path) -> None:
    run(*OWN, "--methods", "gradcam,grad")
    made = json.loads((project / "out/check.json").read_text())["made"]
    assert "net.1" in made["gradcam takes"]  # the activation before the dense layer
    assert "grad takes" not in made


def test_status_and_junit_say_that_a_method_is_not_fit(project: Path) -> None:
    """The gradient of a linear network is the same for every input."""
    arguments = ("linear.pth", "--model", "own_project:constant", "--data", "own_project:Data")
    assert run(*arguments, "--methods", "grad,inputgrad") == 1
    found = json.loads((project / "out/check.json").read_text())
    assert found["methods"]["grad"]["fit"] == "not fit"
    suite = xml.parse(project / "out/junit.xml").getroot()[0]
    assert suite.get("tests") == "2"
    assert suite.get("failures") == "1"
    assert [case.find("failure") is not None for case in suite] == [True, False]


def test_a_method_that_the_network_refuses_is_listed_and_skipped(project: Path) -> None:
    arguments = ("linear.pth", "--model", "own_project:constant", "--data", "own_project:Data")
    assert run(*arguments, "--methods", "inputgrad,gbp") == 0
    found = json.loads((project / "out/check.json").read_text())
    assert list(found["refused"]) == ["gbp"]
    suite = xml.parse(project / "out/junit.xml").getroot()[0]
    assert suite.get("skipped") == "1"


def test_the_command_line_ends_with_the_status_and_errors_with_three(
    project: Path, command: Command
) -> None:
    code = "from explaindebug.app.cli import main; main()"
    linear = ("linear.pth", "--model", "own_project:constant", "--data", "own_project:Data")
    typed = [sys.executable, "-c", code, "check", *linear, "--methods", "grad", "--out", "out"]
    good = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert good.returncode == 1, good.stderr
    status, _, said = command("explaindebug", "check", "none.pth", *linear[1:])
    assert status == 3
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert command("explaindebug", "check", "--no-such-option")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("own.ckpt", "--model", "no_project:Net", "--data", OWN[4]), "no_project"),
        (("own.ckpt", "--model", "own_project:Clasifier", "--data", OWN[4]), "Classifier"),
        (("own.ckpt", "--model", "own_project:NoData", "--data", OWN[4]), "NoData"),
        (("linear.pth", "--model", "own_project:Classifier", "--data", OWN[4]), "width"),
        (("own.ckpt", "--model", "own_project:constant", "--data", OWN[4]), "fit"),
        (("own.ckpt", "--model", "torchvision:resnet18", "--data", OWN[4]), "fit"),
        (("own.ckpt", "--model", "torchvision:resnet81", "--data", OWN[4]), "resnet18"),
        ((*OWN[:4], "own_project:NoData"), "NoData"),
        ((*OWN, "--data-arg", "cuont=3"), "cuont"),
        ((*OWN, "--model-arg", "width"), "NAME=VALUE"),
        ((*OWN, "--masks", "masks"), "folder:PATH"),
        ((*OWN, "--inputs", "1"), "--inputs"),
        ((*OWN, "--methods", "graad"), "grad"),
        ((*OWN[:4], "folder:nowhere"), "nowhere"),
    ],
)
def test_what_can_not_work_is_a_sentence_and_leaves_nothing(
    project: Path, arguments: Sequence[str], named: str
) -> None:
    with pytest.raises((ConfigError, DataError)) as refused:
        run(*arguments)
    assert named in str(refused.value)
    assert not (project / "out").exists()


def test_no_code_of_a_checkpoint_is_run(project: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (project / "ran",))

    torch.save({"state_dict": {"w": torch.zeros(1)}, "hyper_parameters": Harmful()}, "bad.ckpt")
    with pytest.raises(DataError, match="can't be read as weights"):
        network("own_project:Classifier", Path("bad.ckpt"), {})
    assert not (project / "ran").exists()


def test_arguments_on_the_command_line_come_before_saved_ones(project: Path) -> None:
    with pytest.raises(ConfigError, match="fit"):
        network("own_project:Classifier", Path("own.ckpt"), {"width": 5})
    assert parsed(["a=3", "b=[1, 2]", "c=x"], "--model-arg") == {"a": 3, "b": [1, 2], "c": "x"}


def test_inputs_are_spread_over_the_data(project: Path) -> None:
    found = from_module("own_project:Data", {"count": 100}, 4)
    assert len(found.images) == 4
    everything = from_module("own_project:Data", {"count": 100}, 100)
    assert torch.equal(found.images, everything.images[[0, 33, 66, 99]])
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 0, 0]


def test_the_object_is_where_a_batch_has_no_signal(project: Path) -> None:
    found = from_module("own_project:Masked", {}, 6).masks
    assert found is not None
    assert found[:, :, : SIDE // 2].all()
    assert not found[:, :, SIDE // 2 :].any()


def folder(tmp_path: Path, count: int = 6) -> Path:
    """Pictures of one grey level each, with masks of their upper half."""
    for k in range(count):
        where = tmp_path / f"photos/{'ab'[k % 2]}"
        where.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"masks/{where.name}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (40 * k, 0, 255)).save(where / f"{k}.png")
        mask = np.zeros((20, 40), np.uint8)
        mask[:10] = 255
        Image.fromarray(mask).save(tmp_path / f"masks/{where.name}/{k}.png")
    return tmp_path / "photos"


PLAIN = Normalisation((0.0,), (1.0,))


def test_a_folder_is_read_with_its_masks_and_normalised(tmp_path: Path) -> None:
    root = folder(tmp_path)
    found = from_folder(root, 64, size=8, crop=1.0, how=PLAIN, masks=tmp_path / "masks")
    assert found.names == ("a/0.png", "a/2.png", "a/4.png", "b/1.png", "b/3.png", "b/5.png")
    levels = [0, 80, 160, 40, 120, 200]
    assert found.images[:, 0].mean((1, 2)).mul(255).round().tolist() == levels
    assert found.masks is not None
    assert found.masks[:, :, :4].all()
    assert not found.masks[:, :, 4:].any()
    scaled = from_folder(root, 64, size=8, crop=1.0, how=Normalisation((0.5,) * 3, (0.25,) * 3))
    assert scaled.images == pytest.approx((found.images - 0.5) / 0.25)
    assert scaled.picture(scaled.images[0]) == pytest.approx(found.images[0], abs=1e-6)


def test_some_pictures_of_a_folder_are_drawn_by_the_seed(tmp_path: Path) -> None:
    root = folder(tmp_path, 12)
    drawn = {
        from_folder(root, 4, size=8, crop=None, how=PLAIN, seed=seed).names for seed in (0, 0, 1)
    }
    assert len(drawn) == 2
    assert all(len(names) == 4 for names in drawn)


def test_a_missing_mask_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (tmp_path / "masks/a/2.png").unlink()
    with pytest.raises(DataError, match=r"a/2\.png"):
        from_folder(root, 64, size=8, crop=None, how=PLAIN, masks=tmp_path / "masks")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="0 pictures"):
        from_folder(tmp_path / "empty", 64, size=8, crop=None, how=PLAIN)


def test_masks_inside_the_folder_are_no_pictures(tmp_path: Path) -> None:
    root = folder(tmp_path)
    found = from_folder(tmp_path, 64, size=8, crop=None, how=PLAIN, masks=None)
    assert len(found.names) == 12
    (tmp_path / "masks").rename(root / "masks")
    inside = from_folder(root, 64, size=8, crop=None, how=PLAIN, masks=root / "masks")
    assert len(inside.names) == 6


def test_a_plain_network_has_no_arguments_saved(project: Path) -> None:
    found = network("own_project:constant", Path("linear.pth"), {})
    assert not found.training
    assert isinstance(found, nn.Sequential)
