"""The page of a comparison of two versions of a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from explaindebug.core import wording
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.evaluation.version_changes import Change, Compared
from explaindebug.report.html.write import write_page
from explaindebug.report.versions import change_table, changed_answers, in_short, input_table


def write_versions(
    result: RunResult,
    verdicts: Sequence[Verdict],
    changes: Sequence[Change],
    inputs: Sequence[Compared],
    refused: Mapping[str, str],
    path: Path,
    level: float = 0.05,
    seeds: int = 0,
) -> Path:
    """Write the page, with all figures and maps in it, and return its path."""
    return write_page(
        result,
        verdicts,
        path,
        level,
        template="versions.html.jinja",
        answer=in_short(result, changes, inputs, seeds),
        reading=reading(verdicts, level, seeds),
        change=change_table(result, verdicts, changes, refused),
        changes=changes,
        top=input_table(inputs),
        others=changed_answers(inputs),
        refused=refused,
    )


def reading(verdicts: Sequence[Verdict], level: float, seeds: int) -> list[str]:
    """How to read the table, in a few sentences."""
    margin = wording.num(max((v.margin for v in verdicts), default=0.1))
    if seeds == 0:
        control = (
            "There is no retrained seed of the old version to compare with. The control is the old "
            "version under noise that nobody sees, the least by which maps differ. So reasons can "
            "be found to be the same; that they changed can't be told, as those of a network that "
            "was only trained again may differ by as much."
        )
    elif seeds == 1:
        control = (
            "The control is a retrained seed of the old version. One seed does not tell how much "
            "seeds differ; a usual amount is assumed. With two or more it would be measured."
        )
    else:
        control = (
            f"The controls are {seeds} retrained seeds of the old version, which tell how much "
            "seeds differ."
        )
    return [
        "Maps of the new version are compared with those of the old one, on the same inputs and "
        "for the class that the old version predicts. The verdict is about inputs for which all "
        "networks predict that class.",
        control,
        f"“Changed”: maps of the new version are surely less similar than the control's, by more "
        f"than {margin}. “Same”: they are surely not. “Surely” means p of at most {level:g} after "
        "adjustment for all methods (Benjamini and Hochberg). Other reasons are not worse reasons: "
        "look at the maps.",
    ]
