"""What a page says of how a run was made, and of what it has otherwise than the paper."""

from pathlib import Path

import paper_runs

from explaindebug.paper.provenance import command, differs

GT1 = {("gt1", "bug", "ssim"): {"Grad": (0.5, 0.01), "SGrad": (0.5, 0.01), "GBP": (0.5, 0.01)}}


def test_options_that_are_not_the_presets_are_said_with_both_values(tmp_path: Path) -> None:
    specs = ["grad", "gbp", {"sgrad": {"samples": 20, "noise": 0.15}}]
    entry = paper_runs.entry(tmp_path / "run", "table2", GT1, attributions=specs)
    (said,) = (one for one in differs(entry) if one.startswith("Options"))
    assert said == "Options of methods, and those of `preset=paper2020`: SGrad samples 20 (50)."


def test_an_option_that_only_one_of_both_names_is_said(tmp_path: Path) -> None:
    specs = ["sgrad", {"grad": {"magnitude": True}}]
    entry = paper_runs.entry(tmp_path / "run", "table2", GT1, attributions=specs)
    (said,) = (one for one in differs(entry) if one.startswith("Options"))
    assert "SGrad samples as by default (50), noise as by default (0.15)" in said
    assert "Grad magnitude True (by default)" in said


def test_the_presets_own_options_are_no_difference(tmp_path: Path) -> None:
    specs = ["grad", {"sgrad": {"noise": 0.15, "samples": 50}}]
    entry = paper_runs.entry(tmp_path / "run", "table2", GT1, attributions=specs)
    assert not any(one.startswith("Options") for one in differs(entry))


def test_a_command_is_told_without_what_belongs_to_one_machine() -> None:
    line = "python train.py --config-dir /home/me/conf data.root=/home/me/photos output=x seed=3"
    assert command(line) == "python train.py data.root=.../photos seed=3"
