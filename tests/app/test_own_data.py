"""A user's own signal and own groups from the command line to the results."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from group_trees import grown
from known_signals import stamp

Run = Callable[..., tuple[int, str]]
QUICK = (
    *("attributions=[grad]", "nulls=[gaussian]", "similarities=[spearman]", "probe=4"),
    *("pictures=1", "logger=none", "callbacks=none", "data.size=24", "trainer.max_epochs=1"),
    *("trainer.enable_progress_bar=false", "+model.widths=[4,4,4]", "+model.hidden=[8]"),
)


@pytest.mark.parametrize("what", ["groups", "image", "function"])
def test_it_runs_end_to_end(run: Run, tmp_path: Path, what: str) -> None:
    if what == "groups":
        root = grown(tmp_path / "data", (80, 16, 32), rare=0.1)
        data = ("data=groups", f"data.root={root}", "bug=groups", "bug.groups.majority=4")
    else:
        signal = {"image": f"{{image:{{path:{stamp()}}}}}", "function": "known_signals.blot"}[what]
        counts = ("data.train=16", "data.val=4", "data.test=8")
        data = ("bug=spurious", f"bug.spurious.signal={signal}", "bug.spurious.ccm=2", *counts)
    store = f"store={tmp_path / 'store'}"
    status, said = run(*data, *QUICK, store, "output=out", small=False)
    assert status == 0, said
    found = json.loads((tmp_path / "out/results.json").read_text())
    (test,) = found["tests"]
    title = {"groups": "Correlated groups", "image": "Spurious stamp", "function": "Spurious blot"}
    assert test["title"] == title[what]
    assert len(found["verdicts"]) == 1
    if what == "groups":
        told = {(name, data): value for name, data, value in found["accuracies"]}
        cells = [v for (name, d), v in told.items() if name == "balanced" and "y " in d]
        assert len(cells) == 4
        assert told["balanced", "test: worst group"] == min(cells)
        assert told["balanced", "test"] == pytest.approx(np.mean(cells))  # 8 pictures each
        record = json.loads((tmp_path / "out/records/balanced.json").read_text())
        assert len(record[0]["rows"]) == 80


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bug.spurious.signal=nowhere.tag", "can't be imported"),
        ("bug.spurious.signal=tag.png", "write {image: {path: tag.png}}"),
        ("bug.spurious.signal={image:{path:gone.png}}", "gone.png can't be read as a signal"),
        ("bug.spurious.signal=hospital", "or the import path of a function of your own"),
        ("bug=groups", "these pictures have no groups"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_trained(
    run: Run, tmp_path: Path, line: str, said: str
) -> None:
    bug = [] if line.startswith("bug=") else ["bug=spurious"]
    status, error = run(*bug, line, "output=out")
    assert status != 0
    assert said in error
    assert not (tmp_path / "store").exists()
