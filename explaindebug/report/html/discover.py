"""The page of a search for shortcuts: which regions a network relies on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from explaindebug.evaluation.results import RunResult
from explaindebug.evaluation.suspects import Fact, Suspect
from explaindebug.report.discover import caution, facts_table, in_short, reading, suspects_table
from explaindebug.report.html.write import write_page


def write_discovered(
    result: RunResult,
    suspects: Sequence[Suspect],
    facts: Sequence[Fact],
    masked: bool,
    path: Path,
    level: float,
    refused: Mapping[str, str],
) -> Path:
    """Write the page, with all figures and pictures in it, and return its path."""
    verdicts = [verdict for one in suspects for verdict in one.verdicts]
    return write_page(
        result,
        verdicts,
        path,
        level,
        template="discover.html.jinja",
        answer=in_short(suspects, masked=masked),
        remarks=[caution(masked=masked)],
        reading=reading(max((v.margin for v in verdicts), default=0.1), level),
        suspects=suspects_table(suspects, result.methods, masked=masked),
        facts=facts_table(facts) if facts else None,
        refused=refused,
    )
