"""The page of a check: which methods can be read on one network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from explaindebug.core import wording
from explaindebug.evaluation.fitness import Fitness
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.report.check import fit_table, in_short, reliance
from explaindebug.report.html.write import write_page


def write_check(
    result: RunResult,
    verdicts: Sequence[Verdict],
    fitness: Sequence[Fitness],
    refused: Mapping[str, str],
    path: Path,
    level: float = 0.05,
    relied: Verdict | None = None,
) -> Path:
    """Write the page, with all figures and maps in it, and return its path."""
    return write_page(
        result,
        verdicts,
        path,
        level,
        template="check.html.jinja",
        answer=in_short(result, fitness),
        remarks=[said] if (said := reliance(relied)) else [],
        reading=reading(verdicts, level),
        fit=fit_table(result, verdicts, fitness, refused),
        fitness=fitness,
        refused=refused,
    )


def reading(verdicts: Sequence[Verdict], level: float) -> list[str]:
    """How to read the table, in a few sentences."""
    margin = wording.num(max((v.margin for v in verdicts), default=0.1))
    return [
        "A map is fit to be read if it depends on what it should explain: on the class, on the "
        "weights of the last layer and on the input, and if noise that nobody sees leaves it as it "
        "is. A map that fails one of these shows the same whatever the network does; that the "
        "network is right, or wrong, does not follow from a map that is fit.",
        f"Each number is a difference of similarities on the same inputs. “Shows”: it is surely "
        f"above {margin}, compared with the map of the same input under imperceptible noise. "
        "“Doesn't”: it is surely below. For “stable” it is the similarity under noise above the "
        "one required.",
        f"“Surely” means p of at most {level:g} after adjustment for all cells of the table "
        "(Benjamini and Hochberg). The edge detector is no method: its maps depend on the input "
        "alone, and show what a map that ignores the network looks like.",
    ]
