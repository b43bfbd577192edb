"""Folders of runs that never happened, as the application writes them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fake_run import fake_run

from explaindebug.app.findings import plain
from explaindebug.core.io import write_json
from explaindebug.evaluation.results import RunResult
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.verdicts import verdicts

SETTINGS = {
    "seed": 0,
    "attributions": ["grad", "gbp"],
    "similarities": ["ssim", "spearman"],
    "postprocessing": {"sign": "abs", "normalise": "p99"},
    "nulls": ["gaussian"],
    "margin": 0.1,
    "level": 0.05,
    "probe": 95,
    "bug": {"labels": {"rate": 0.1}, "spurious": {"fraction": 1.0}},
    "model": {"name": "bvd_cnn"},
    "output": None,
}


def shaken(result: RunResult, seed: int, by: float = 0.02) -> RunResult:
    """The run with networks of another seed: every column of scores has moved a little."""
    rng = np.random.default_rng(seed)
    tests = []
    for test in result.tests:
        scores = Scores()
        for key, (rows, values) in test.scores:
            scores.add(key, rows, values + by * rng.standard_normal())
        tests.append(replace(test, scores=scores))
    return replace(result, tests=tests)


def write(folder: Path, result: RunResult | None = None, seed: int = 0, **settings: Any) -> Path:
    """The folder of a run of that seed, its settings those above but for `settings`."""
    result = shaken(fake_run(inputs=1, size=16), seed) if result is None else result
    folder.mkdir(parents=True)
    scores = sum((test.scores for test in result.tests), Scores())
    scores.to_csv(folder / "scores.csv")
    write_json(folder / "results.json", plain(result, verdicts(result.tests), []))
    note = {"command": "train.py", "settings": SETTINGS | {"seed": seed} | settings}
    write_json(folder / "run.json", note)
    return folder
