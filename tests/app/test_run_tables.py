"""The tables of a run, read back from the files of an offline W&B run."""

import csv
import json
import warnings
from pathlib import Path

import pytest
import wandb_runs
from fake_run import fake_run, fake_verdicts

from explaindebug.app.loggers import wandb_logger
from explaindebug.app.run_tables import COLUMNS, log_tables
from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.follow_up import answers
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.summary import summarise

RUN = fake_run(inputs=1, size=16)
FOUND = {
    "verdicts": fake_verdicts(RUN),
    "questions": [v for t in RUN.tests for v in answers(t, margin=0.1, level=0.05)],
    "detectors": [detector for test in RUN.tests for detector in test.detectors],
    "scores": summarise(sum((test.scores for test in RUN.tests), Scores())),
}
DOCS = Path(__file__).parents[2] / "docs/callbacks.md"


def test_wandb_holds_a_table_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explaindebug.app.loggers.USERS_DATA_DIR", None)
    with warnings.catch_warnings(action="ignore"):
        logger = wandb_logger(str(tmp_path), "a run", mode="offline")
        log_tables([logger], tmp_path, *FOUND.values())
        logger.experiment.finish()
    run = wandb_runs.read(tmp_path)
    for name, lines in FOUND.items():
        (row,) = run.rows(f"debug/{name}/path")
        table = json.loads(run.files[row[f"debug/{name}/path"]].read_text())
        assert table["columns"] == list(COLUMNS[name])
        shown = [[getattr(line, column) for column in COLUMNS[name]] for line in lines]
        assert [[*map(str, row)] for row in table["data"]] == [
            ["nan" if x != x else str(x) for x in row] for row in shown
        ]
        assert f"| `debug/{name}` |" in DOCS.read_text()
    best = max(FOUND["detectors"], key=lambda d: d.auroc)
    assert best.statistic == "loss"


def test_without_loggers_they_are_files_and_there_are_none_without_lines(tmp_path: Path) -> None:
    log_tables([], tmp_path, FOUND["verdicts"], [], FOUND["detectors"])
    assert {path.name for path in (tmp_path / "debug").iterdir()} == {
        "verdicts.csv",
        "detectors.csv",
    }
    with open(tmp_path / "debug" / "detectors.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["statistic"] for line in lines] == [d.statistic for d in FOUND["detectors"]]


@pytest.mark.parametrize("key", ["project", "group"])
def test_an_empty_name_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"logger\.wandb\.{key}"):
        wandb_logger(str(tmp_path), "a run", mode="offline", **{key: " "})
