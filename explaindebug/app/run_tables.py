"""Tables of a run's results, for its loggers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explaindebug.callbacks.keys import log_key
from explaindebug.callbacks.sinks import Sinks
from explaindebug.evaluation.detection import Detector
from explaindebug.evaluation.results import Verdict
from explaindebug.evaluation.scores import headed
from explaindebug.evaluation.summary import Summary

VERDICT = ("answer", "effect", "low", "high", "p_adjusted", "n")
COLUMNS = {
    "verdicts": ("test", "method", *VERDICT),
    "questions": ("test", "condition", "similarity", "method", *VERDICT),
    "detectors": (
        *("test", "finds", "method", "statistic", "auroc", "auroc_low", "auroc_high", "p"),
        *("rate", "precision", "fpr95", "positives", "negatives", "trouble"),
    ),
    "scores": Summary._fields,
}


def log_tables(
    loggers: Sequence[Any],
    folder: Path,
    answers: Sequence[Verdict],
    further: Sequence[Verdict],
    found: Sequence[Detector],
    scores: Sequence[Summary] = (),
    rows_are: str = "method",
) -> None:
    """Log results as `debug/verdicts`, `debug/questions`, `debug/detectors`, `debug/scores`.

    They go to all loggers that take tables, and into CSV files in `folder`; empty ones are skipped.
    """
    sinks = Sinks(loggers, folder)
    tables: dict[str, Sequence[Any]] = {
        "verdicts": answers,
        "questions": further,
        "detectors": found,
        "scores": scores,
    }
    for name, lines in tables.items():
        rows = [[getattr(line, column) for column in COLUMNS[name]] for line in lines]
        if rows:
            sinks.table(log_key("debug", name), headed(COLUMNS[name], rows_are), rows)
