"""What a page says of how a run was made, and of what it has otherwise than the paper."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import paper_runs
import pytest

from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.report.markdown import code, grid
from explaindebug.studies.adebayo2020.provenance import command, differs, facts, titled

GT1 = {("gt1", "bug", "ssim"): {"Grad": (0.5, 0.01), "SGrad": (0.5, 0.01), "GBP": (0.5, 0.01)}}


def options(folder: Path, attributions: Any) -> str:
    """What a page says of a run's options, nothing where it is silent."""
    entry = paper_runs.entry(folder / "run", "table2", GT1, attributions=attributions)
    return "".join(one for one in differs(entry) if one.startswith("Options"))


def test_options_that_are_not_the_presets_are_said_with_both_values(tmp_path: Path) -> None:
    said = options(tmp_path, ["grad", "gbp", {"sgrad": {"samples": 20, "noise": 0.15}}])
    assert (
        said
        == "Options of methods (those of `preset=paper2020` in brackets): SGrad samples 20 (50)."
    )


@pytest.mark.parametrize("asked", ["sgradsq", ["sgradsq"], {"sgradsq": {}}, "all"])
def test_the_defaults_are_options_too_however_they_were_asked_for(
    tmp_path: Path, asked: Any
) -> None:
    default = ATTRIBUTIONS.build("sgradsq")
    said = options(tmp_path, asked)
    assert f"samples {default.samples} (50)" in said
    assert "LIME" not in said or asked == "all"


def test_a_mapping_of_methods_is_one_of_them(tmp_path: Path) -> None:
    lime = {"samples": 7, "segmenter": {"quickshift": {"kernel_size": 3}}}
    said = options(tmp_path, {"sgrad": {"samples": 5}, "lime": lime})
    assert "SGrad samples 5 (50)" in said
    assert "samples 7 (1000)" in said


@pytest.mark.parametrize("asked", [["grad", {"sgrad": {"noise": 0.15, "samples": 50}}], ["grad"]])
def test_the_presets_own_options_are_no_difference(tmp_path: Path, asked: Any) -> None:
    assert options(tmp_path, asked) == ""


def test_a_command_is_told_without_what_belongs_to_one_machine() -> None:
    line = "python train.py --config-dir /home/me/conf data.root=/home/me/photos output=x seed=3"
    assert command(line) == "python train.py data.root=.../photos seed=3"


HARD = [
    "attributions=[grad,{sgrad:{samples:8,noise:0.1}}]",  # two words under brace expansion
    "data.root=my photos",
    "signal={tag:{text:it's}}",
    "note=$HOME `id` | tee *",
    'quoted="twice"',
    "",
]


def test_a_command_means_in_a_shell_what_was_typed() -> None:
    line = command(shlex.join(["python", "train.py", "output=x", *HARD]))
    typed = ["bash", "-c", f"printf '%s\\0' {line}"]
    printed = subprocess.run(typed, capture_output=True, text=True, check=True).stdout
    assert printed.split("\0")[:-1] == ["python", "train.py", *HARD]


@pytest.mark.parametrize("text", ["a", "`a", "a ``b`` c", "`", "'[{x}]' | y"])
def test_a_code_span_holds_the_text_as_it_is(text: str) -> None:
    span = code(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert fence not in re.findall("`+", inside)
    assert inside == text or inside == f" {text} "


def test_the_command_in_a_pages_table_keeps_quotes_and_bars(tmp_path: Path) -> None:
    entry = paper_runs.entry(tmp_path / "run", "table2", GT1)
    entry.run.result.made["command"] = "python train.py 'attributions=[grad]' 'x=a|b'"
    (line,) = (row for row in grid(["", ""], facts(entry)) if row.startswith("| command"))
    assert line == r"| command | `python train.py 'attributions=[grad]' 'x=a\|b'` |"


def test_a_network_that_stands_in_for_the_papers_is_named(tmp_path: Path) -> None:
    columns = {("top 1", "bug", "ssim"): {"Grad": (0.5, 0.01)}}
    for name, expected in (("vgg16", ""), ("squeezenet1_0", ", here squeezenet1_0")):
        model = {"model": {"name": name}, "stages": ("top 1",)}
        entry = paper_runs.entry(tmp_path / name, "figure7", columns, **model)
        assert titled(entry) == f"Figure 7: lost weights{expected}"
        assert bool(expected) == any("where the paper has vgg16" in one for one in differs(entry))


def test_another_order_is_said_and_folders_are_not(tmp_path: Path) -> None:
    columns = {("top 1", "bug", "ssim"): {"Grad": (0.5, 0.01)}}
    told = {"network to debug": "squeezenet1_0 with the weights of /home/me/w/squeeze.pt, as it is"}
    bug = {"bug": {"reinit": {"order": "independent"}}}
    entry = paper_runs.entry(
        tmp_path / "run", "figure7", columns, stages=("top 1",), facts=told, **bug
    )
    assert any("at one stage alone" in one for one in differs(entry))
    assert dict(facts(entry))["network to debug"] == (
        "squeezenet1_0 with the weights of .../squeeze.pt, as it is"
    )
