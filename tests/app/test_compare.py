"""`explaindebug compare` from the command line."""

import csv
from functools import partial

import pytest
from manifests import manifest
from run_folders import SETTINGS, write

from explaindebug.evaluation.multirun.comparison import Line


@pytest.fixture
def compare(command):
    """Compares runs: (exit status, stdout, stderr)."""
    return partial(command, "explaindebug", "compare")


def test_table_and_page_of_a_sweep(compare, tmp_path) -> None:
    for seed in (0, 1, 10):
        write(tmp_path / "sweep" / str(seed), seed=seed)
    status, out, error = compare("sweep", "--output", "all")
    assert (status, error) == (0, "")
    assert "± " in out
    with open(tmp_path / "all" / "comparison.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == Line._fields
    assert {line["runs"] for line in found if line["test"] == "spurious"} == {"3"}
    page = (tmp_path / "all" / "report.html").read_text()
    assert "sweep/0, sweep/1, sweep/10" in page
    assert compare("sweep/0", "sweep/1", "--output", "all")[0] == 0  # made again


def test_detectors_and_further_questions_of_all_runs(compare, tmp_path) -> None:
    for seed in (0, 1):
        write(tmp_path / str(seed), seed=seed)
    status, out, _ = compare("0", "1", "--output", "all")
    assert status == 0
    assert "Mislabelled examples: flipped labels found by" in out
    assert "K-SSD: is a known signal seen in the map?" in out
    with open(tmp_path / "all" / "comparison.csv", newline="") as file:
        assert {line["condition"] for line in csv.DictReader(file)} >= {"share", "gt1"}
    with open(tmp_path / "all" / "detectors.csv", newline="") as file:
        (loss,) = [line for line in csv.DictReader(file) if line["statistic"] == "loss"]
    assert (loss["test"], loss["runs"], loss["beyond"]) == ("labels", "2", "2")
    told = manifest(tmp_path / "all", "compare")
    assert {"comparison.csv", "detectors.csv", "report.html"} <= set(told["files"])
    assert {one["test"] for one in told["verdicts"]} >= {"spurious", "labels"}
    page = (tmp_path / "all" / "report.html").read_text()
    assert "Found one by one?" in page
    assert "2 of 2 runs" in page
    assert "Further questions" in page


@pytest.mark.drawn
def test_a_sweep_has_its_curve(compare, tmp_path) -> None:
    for i, rate in enumerate((0.4, 0.1, 0.2)):
        bug = SETTINGS["bug"] | {"labels": {"rate": rate}}
        write(tmp_path / str(i), seed=0, bug=bug)
    assert compare("0", "1", "2", "--output", "all")[0] == 0
    for kind in ("png", "pdf"):
        assert (tmp_path / "all" / "figures" / f"spurious_effects.{kind}").is_file()
        assert (tmp_path / "all" / "figures" / f"sweep_labels.{kind}").is_file()
    page = (tmp_path / "all" / "report.html").read_text()
    assert "Mislabelled examples over rate" in page
    assert page.index("(rate=0.1)") < page.index("(rate=0.2)") < page.index("(rate=0.4)")


def test_what_is_wrong_is_one_sentence(compare, tmp_path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", seed=1, probe=12)
    for arguments, said in [
        (("a", "b"), "error: a and b can't be compared: probe is 95 in the first and 12 in"),
        (("a", "nowhere"), "error: nowhere holds no run of explaindebug."),
        (("a",), "error: 1 run given, so there is nothing to compare"),
    ]:
        status, _, error = compare(*arguments)
        assert status == 1
        assert error.startswith(said)
        assert error.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_a_folder_with_something_else_is_left_alone(compare, tmp_path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", seed=1)
    status, _, error = compare("a", "b", "--output", "a")
    assert status == 1
    assert "a is not empty and holds no comparison" in error


def test_help(compare) -> None:
    status, out, _ = compare("--help")
    assert status == 0
    assert "a sweep's" in out
