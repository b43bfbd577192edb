"""Sweeps on a cluster: submitit's local executor starts jobs as a cluster would, as processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import SMALL

pytest.importorskip(
    "hydra_plugins.hydra_submitit_launcher", reason="pip install explaindebug[submitit]"
)
SCRIPT = Path(__file__).parents[2] / "train.py"


def sweep(tmp_path: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    few = (*SMALL, "bug=reinit", "hydra/launcher=submitit_local", *more)
    line = [sys.executable, str(SCRIPT), "-m", *few]
    return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_jobs_run_beside_each_other_and_are_compared_afterwards(tmp_path: Path) -> None:
    done = sweep(tmp_path, "seed=0,1", "output=sweep")
    assert done.returncode == 0, done.stderr
    for i in "01":
        assert (tmp_path / "sweep" / i / "report.html").is_file()
        note = json.loads((tmp_path / "sweep" / i / "run.json").read_text())
        assert note["command"].startswith(f"python {SCRIPT} -m")  # as it was typed, not the job's
    assert {p.name for p in tmp_path.iterdir()} == {"sweep", "outputs"}
    assert len(list((tmp_path / "outputs/trained").glob("*/done.json"))) == 4
    line = [sys.executable, str(SCRIPT), "compare", "sweep", "--output", "both"]
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert (tmp_path / "both/comparison.csv").is_file()


@pytest.mark.slow
def test_a_job_that_fails_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    done = sweep(tmp_path, "bug.reinit.layers=30,2", "bug.reinit.twin=false", "output=sweep")
    assert done.returncode == 1
    assert "error: bug.reinit.layers=30, but the network has 8 layers" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "sweep/1/report.html").is_file()
