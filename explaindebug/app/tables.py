"""Tables of what a whole run found, for its loggers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explaindebug.callbacks.loggers import Sinks
from explaindebug.detectors import Detector
from explaindebug.verdicts import Verdict

VERDICT = ("answer", "effect", "low", "high", "p_adjusted", "n")
COLUMNS = {
    "verdicts": ("test", "method", *VERDICT),
    "questions": ("test", "condition", "similarity", "method", *VERDICT),
    "detectors": (
        *("test", "finds", "method", "statistic", "auroc", "auroc_low", "auroc_high", "p"),
        *("rate", "precision", "fpr95", "positives", "negatives", "trouble"),
    ),
}


def log_tables(
    loggers: Sequence[Any],
    folder: Path,
    answers: Sequence[Verdict],
    further: Sequence[Verdict],
    found: Sequence[Detector],
) -> None:
    """What a run found as `debug/verdicts`, `debug/questions` and `debug/detectors`.

    Tables of all loggers that take some, and CSV files in `folder`; none where there is no line.
    """
    sinks = Sinks(loggers, folder)
    tables = {"verdicts": answers, "questions": further, "detectors": found}
    for name, lines in tables.items():
        rows = [[getattr(line, column) for column in COLUMNS[name]] for line in lines]
        if rows:
            sinks.table(f"debug/{name}", COLUMNS[name], rows)
