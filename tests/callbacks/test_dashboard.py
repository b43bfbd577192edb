"""The view that is saved to a W&B project."""

import json
import re
from typing import Any

import pytest

from explaindebug.app.run_tables import COLUMNS
from explaindebug.callbacks import ReinitCascade
from explaindebug.callbacks.dashboard import curves, main, workspace

pytest.importorskip("wandb_workspaces")


def test_the_curves_of_a_similarity_and_those_of_its_control() -> None:
    bug, control = (re.compile(curves("reinit", "ssim", control=c)) for c in (False, True))
    keys = [f"debug/reinit/{m}/{x}" for m in ("grad", "gbp") for x in ("ssim/conv1.0", "ssim/fc")]
    keys.append("debug/reinit-clean_twin/grad/ssim/fc")  # one network of several
    controls = [key.replace("/ssim/", "/ssim/control/") for key in keys]
    others = ["debug/reinit/seconds", "debug/reinit/maps", "debug/ood/grad/ssim/fc"]
    others += ["debug/reinit/grad/ssim_dense/fc", "debug/reinit/ssim"]
    everything = [*keys, *controls, *others]
    assert [key for key in everything if bug.search(key)] == keys
    assert [key for key in everything if control.search(key)] == controls


def test_a_section_per_test_and_a_panel_per_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main(["me/birds", "--tests", "reinit", "heatmaps", "--similarities", "ssim", "--dry-run"])
    view = json.loads(capsys.readouterr().out)
    assert (view["entity"], view["project"]) == ("me", "birds")
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    ours = {s["name"]: s["panels"] for s in sections if s["name"].startswith("debug")}
    assert list(ours) == ["debug: reinit", "debug: heatmaps"]
    (results,) = (s["panels"] for s in sections if s["name"] == "results")
    assert len(results) == len(COLUMNS)
    for name, panel in zip(COLUMNS, results, strict=True):
        assert f'"debug/{name}"' in json.dumps(panel)
    first, second, maps, table = ours["debug: reinit"]
    assert first["config"]["metricRegex"] == curves("reinit", "ssim")
    assert second["config"]["metricRegex"] == curves("reinit", "ssim", control=True)
    assert first["config"]["xAxis"] == "trainer/global_step"
    assert maps["config"]["mediaKeys"] == ["debug/reinit/maps"]
    assert "debug/reinit/scores" in json.dumps(table)
    (only,) = ours["debug: heatmaps"]
    assert only["config"]["mediaKeys"] == ["debug/heatmaps/maps"]


def test_its_tests_are_those_of_the_callbacks() -> None:
    names = {s.name for s in workspace("me", "birds").sections}
    assert f"debug: {ReinitCascade.test}" in names


def test_a_project_without_its_owner_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["birds"])
    assert "entity/project expected, got 'birds'" in capsys.readouterr().err


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    missing: Any = None
    monkeypatch.setitem(sys.modules, "wandb_workspaces", missing)
    with pytest.raises(SystemExit):
        main(["me/birds"])
    assert 'pip install "explaindebug[dashboard]"' in capsys.readouterr().err
