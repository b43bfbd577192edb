"""The examples run, and do what they say."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import wheel

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def run(script: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    """What is defined after a script has run in `folder`."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [str(script), *arguments])
        return runpy.run_path(str(script), run_name="__main__")


class TestLightningScript:
    SCRIPT = EXAMPLES / "lightning_script.py"

    def lines(self) -> tuple[list[str], list[str]]:
        lines = self.SCRIPT.read_text().splitlines(keepends=True)
        ours = [line for line in lines if line.rstrip().endswith("# +")]
        return ours, [line for line in lines if line not in ours]

    def test_ten_lines_at_most_are_ours(self) -> None:
        ours, rest = self.lines()
        assert 0 < len(ours) <= 10
        code = "".join(rest).split('"""', 2)[2]
        assert "explaindebug" not in code

    def test_it_trains_as_it_does_without_them(self, tmp_path: Path) -> None:
        plain = tmp_path / "plain.py"
        plain.write_text("".join(self.lines()[1]))
        options = ("--epochs", "1", "--pictures", "100")
        run(plain, tmp_path / "without", *options)
        run(self.SCRIPT, tmp_path / "with", *options)
        weights = [
            torch.load(next((tmp_path / name).rglob("*.ckpt")), weights_only=True)["state_dict"]
            for name in ("without", "with")
        ]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
        found = {str(x.relative_to(tmp_path / "with")) for x in tmp_path.rglob("debug/*/maps/*")}
        maps = "lightning_logs/version_0/debug/heatmaps/maps"
        assert {f"{maps}/{m}__epoch_0.png" for m in ("grad", "gbp")} <= found


def test_without_lightning(tmp_path: Path) -> None:
    source = (EXAMPLES / "notebook.py").read_text()
    assert "lightning" not in re.sub(r'^""".*?"""', "", source, flags=re.S).lower()
    after = run(EXAMPLES / "notebook.py", tmp_path / "here")
    assert after["accuracy"] > 0.9
    assert set(after["found"]) == {"grad", "inputgrad", "sgrad", "intgrad", "gbp"}
    assert all(alike > noise for alike, noise in after["found"].values())
    assert (tmp_path / "here/maps.png").stat().st_size > 1000


ANSWER = re.compile(
    r"^([\w ]+): (shows|doesn't|can't tell|fit|not fit|same|changed)[.,]", flags=re.MULTILINE
)


@pytest.mark.parametrize("name", ["quick_start", "your_model"])
def test_a_notebook_gives_the_answers_that_it_shows(
    name: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads((EXAMPLES / f"{name}.ipynb").read_text())["cells"]
    names: dict[str, Any] = {}
    seen = 0
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        exec(compile("".join(cell["source"]), name, "exec"), names)
        told = ANSWER.findall(capsys.readouterr().out)
        texts = ["".join(output.get("text", "")) for output in cell["outputs"]]
        assert told == ANSWER.findall("".join(texts)), "".join(cell["source"])
        seen += len(told)
    assert seen >= 6


@pytest.mark.slow
def test_a_hydra_project_with_the_installed_wheel(tmp_path: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    wheel.install(wheel.build(tmp_path), site)
    shutil.copytree(EXAMPLES / "hydra_project", project)
    overrides = ["pictures=100", "trainer.max_epochs=1", "callbacks.heatmaps.every_n_epochs=1"]
    overrides += ["callbacks.reinit.probe=4", "+trainer.enable_progress_bar=false"]
    elsewhere: dict[str, Any] = {"cwd": project, "env": os.environ | {"PYTHONPATH": str(site)}}

    def python(*arguments: str) -> str:
        command = [sys.executable, "-W", "ignore", *arguments]
        done = subprocess.run(command, **elsewhere, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert python("-c", "import explaindebug; print(explaindebug.__file__)").startswith(str(site))
    python("train.py", *overrides)
    (scores,) = project.rglob("debug/reinit/scores.csv")
    text = scores.read_text()
    assert "reinit,grad," in text
    assert "reinit,gbp," in text
    assert "inputgrad" not in text  # the project's own choice stands
