"""All experiments with one command: composed, checked, run in turn, summarised on one page."""

from collections.abc import Callable
from pathlib import Path

import official_layouts as make
import pytest
import torch
from torchvision.models import squeezenet1_0

from explaindebug.evaluation.runs import read_run
from explaindebug.studies.adebayo2020.entry import Entry

Command = Callable[..., tuple[int, str, str]]
QUICK = (
    "attributions=[grad,gbp]",
    "nulls=[gaussian]",
    "similarities=[ssim,spearman]",
    "probe=4",
    "pictures=1",
    "logger=none",
    "data.size=32",
    "data.train=12",
    "data.val=4",
    "data.test=8",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
)
TINY = "model:{widths:[4,4,4],hidden:[8]}"
TABLE3 = ("~parts.table3", "~parts.table3_birds_dogs", "~parts.table3_vgg16")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Birds, dogs and scenes as published; some of ImageNet; a network of 1,000 outputs."""
    for write in (make.cub_2011, make.pets, make.places):
        write(tmp_path / "data")
    make.imagenet(tmp_path / "data/imagenet")
    torch.manual_seed(0)
    torch.save(squeezenet1_0(weights=None).state_dict(), tmp_path / "weights.pt")
    return tmp_path / "data"


def parts(weights: Path) -> tuple[str, ...]:
    return (
        f"+parts.table2={{{TINY},bug.spurious.ccm:0}}",
        f"+parts.mislabelled={{{TINY},bug:{{labels:{{rate:0.4,detect:0}}}}}}",
        "+parts.figure7.model.name=squeezenet1_0",
        f"+parts.figure7.model.weights={weights}",
        "+parts.figure7.bug.reinit={depth:1,layers:1}",
        "+parts.figure7.data.train=6",
        *TABLE3,
    )


@pytest.mark.drawn
def test_all_by_one_command(command: Command, data: Path, tmp_path: Path) -> None:
    line = ("train.py", "experiment=paper", f"data.root={data}", "output=out", "store=store")
    line = (*line, *QUICK, *parts(tmp_path / "weights.pt"), "data.border=false", "seed=3")
    status, said, wrong = command(*line)
    assert status == 0, wrong
    assert "data.border=false: does not apply to figure7" in said
    runs = {
        name: read_run(tmp_path / "out" / name) for name in ("table2", "mislabelled", "figure7")
    }
    for name, run in runs.items():
        assert Entry.of(run).experiment.name == name
        assert run.settings["seed"] == 3
        assert f"experiment={name}" in run.result.made["command"]
        assert "experiment=paper" not in run.result.made["command"]
        assert (run.folder / "paper.csv").is_file()
    assert runs["table2"].settings["data.border"] is False
    page = (tmp_path / "out/results.md").read_text()
    assert page.count("**The run**") == 3
    assert page.count("### Claim") == 6
    assert {path.name for path in (tmp_path / "out/pictures").iterdir()} == {
        *("table2_effects.png", "mislabelled_effects.png"),
        *("figure7_effects.png", "figure7_curves.png", "figure7_maps.png"),
    }

    (tmp_path / "out/mislabelled/report.html").unlink()  # as if it had been cut there
    before = (tmp_path / "out/table2/report.html").stat().st_mtime_ns
    status, said, wrong = command(*line)
    assert status == 0, wrong
    assert "table2: done" in said
    assert "mislabelled: checking" in said
    assert (tmp_path / "out/table2/report.html").stat().st_mtime_ns == before
    assert (tmp_path / "out/mislabelled/report.html").is_file()
    status, _, wrong = command(*line, "seed=4")
    assert status == 1
    assert "table2 holds another run" in wrong
    assert "with other settings: seed." in wrong


def test_all_that_lacks_is_told_together_before_any_training(
    command: Command, tmp_path: Path
) -> None:
    make.cub_2011(tmp_path / "data")
    status, _, wrong = command(
        *("train.py", "experiment=paper", f"data.root={tmp_path / 'data'}", *QUICK),
        *("output=out", "store=store", "model.weights=null")[:2],
    )
    assert status == 1
    assert "nothing was trained yet" in wrong
    for name in ("table2", "mislabelled", "figure7", "table3", "table3_birds_dogs"):
        assert f"{name}: " in wrong
    assert not (tmp_path / "store").exists() or not any((tmp_path / "store").iterdir())
    assert not [path for path in (tmp_path / "out").glob("*") if path.is_dir()]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data=photos", "+parts.table2.data=photos"),
        ("model.name=squeezenet1_0", "each has its own"),
        ("+parts.tabel2.lr=1", "unknown experiment 'tabel2'. Did you mean 'table2'"),
        ("parts.table2=lr", "must have keys: +parts.table2.data.size=112"),
        ("bug.spurious.fether=0.1", "fether"),
    ],
)
def test_what_can_not_be_that_of_all(
    command: Command, tmp_path: Path, override: str, expected: str
) -> None:
    root = f"data.root={tmp_path}"
    status, _, wrong = command("train.py", "experiment=paper", root, "output=out", override)
    assert status == 1
    assert expected in wrong
    assert not (tmp_path / "out" / "run.json").exists()
