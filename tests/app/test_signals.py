"""Spurious signals in a run: chosen by name, in a sweep, and with further questions."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str]]
ONE = ("bug=spurious", "attributions=[grad]", "bug.spurious.ccm=6")


def conditions(out: Path) -> set[str]:
    with open(out / "scores.csv", newline="") as file:
        return {line["condition"] for line in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("signal", "classes"),
    [("tag", 1), ("{stripes:{count:2,aligned:dog}}", 1), ("blur", 1), ("background", 2)],
)
def test_a_signal_by_name_or_with_options(
    run: Run, tmp_path: Path, signal: str, classes: int
) -> None:
    assert run("output=out", *ONE, f"bug.spurious.signal={signal}") == (0, "")
    out = tmp_path / "out"
    assert conditions(out) == {"gt1", "gt2", "share", "fam", "ccm"}
    results = json.loads((out / "results.json").read_text())
    assert {q["condition"] for q in results["questions"]} == {"gt1", "fam", "ccm"}
    facts = results["facts"]["spurious"]
    assert "spurious score" in facts
    assert "clean network's spurious score" in facts
    record, *_ = json.loads((out / "records" / "spurious.json").read_text())
    assert record["bug"] in signal
    assert len(set(record["truth"])) == classes
    (gate,) = results["gates"]
    assert "train longer (trainer.max_epochs)" in gate["meaning"]
    assert ("a larger strength of blur" in gate["meaning"]) == (signal == "blur")
    expected = "accuracy on scenes alone" if signal == "background" else "spurious score"
    assert gate["name"] == expected


def test_a_contamination_sweep(run: Run, tmp_path: Path) -> None:
    sweep = ("bug.spurious.signal=tag", "bug.spurious.fraction=0.1,0.5,1.0")
    assert run("-m", "output=out", *ONE, *sweep) == (0, "")
    counts = []
    for job in "012":
        record, *_ = json.loads((tmp_path / "out" / job / "records" / "spurious.json").read_text())
        counts.append(len(record["rows"]))
    assert counts == [4, 20, 40]  # of 80 training pictures, half of them of the tag's class


def test_pictures_without_the_signal_have_clusters_too(run: Run, tmp_path: Path) -> None:
    assert run("output=out", *ONE[:2], "bug.spurious.ccm=14", "clusters=class") == (0, "")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["tests"][0]["clusters"]) == 14
    units = {v["condition"]: (v["n"], v["units"]) for v in results["questions"]}
    assert units["ccm"] == (14, 2)
    assert units["gt1"] == (6, 2)


def test_without_the_follow_up(run: Run, tmp_path: Path) -> None:
    assert run("output=out", *ONE[:2], "bug.spurious.ccm=0") == (0, "")
    assert "ccm" not in conditions(tmp_path / "out")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["questions"] == []


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("bug.spurious.signal=tga", "'tag'"),
        ("bug.spurious.signal=labels", "unknown signal 'labels'"),
        ("bug.spurious.signal={tag:{size:3}}", "tag.size must"),
        ("bug.spurious.signal={tag:{sise:0.1}}", "'size'"),
        ("bug.spurious.signal={tag:{aligned:cat}}", "aligned=cat"),
        ("bug.spurious.fraction=2", "fraction"),
        ("bug.spurious.ccm=-1", "bug.spurious.ccm must"),
        ("bug.signal=tag", "bug.spurious.signal"),
    ],
)
def test_a_signal_that_cannot_be_ends_in_a_sentence(
    run: Run, tmp_path: Path, override: str, said: str
) -> None:
    status, error = run("output=out", *ONE, override)
    assert status == 1
    assert error.startswith("error: ")
    assert said in error
    assert not list(tmp_path.glob("store/*/*.ckpt"))
