"""What the page of several runs has in addition: its first sentence, and sweeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from explaindebug.evaluation.multirun.pooling import Several
from explaindebug.evaluation.multirun.sweeps import Sweep
from explaindebug.evaluation.results import RunResult, Verdict
from explaindebug.report import phrases
from explaindebug.report.figures import style as plotting


@dataclass(frozen=True)
class Swept:
    """One sweep on the page."""

    id: str
    name: str  # "Spurious tag over fraction"
    setting: str
    answer: str
    chart: str  # SVG
    file: str  # relative to the page, without .png or .pdf
    gated: bool  # whether the figure has a panel for the gate


def answer(result: RunResult, verdicts: Sequence[Verdict], several: Several) -> str:
    """The page's first sentence: that of the sweeps, if there is nothing else to answer."""
    swept_levels = sum(len(sweep.levels) for sweep in several.sweeps)
    if several.sweeps and swept_levels == len(result.tests):
        return " ".join(sweep.sentence(result.methods) for sweep in several.sweeps)
    return phrases.answer(result, verdicts)


def sweep_files(several: Several) -> list[str]:
    """Paths of the sweeps' figures, relative to the page: `figures/sweep_spurious`."""
    tests = [sweep.test for sweep in several.sweeps]
    return [
        f"figures/sweep_{test}{f'_{i + 1}' * (tests.count(test) > 1)}"
        for i, test in enumerate(tests)
    ]


def swept(several: Several, names: Mapping[str, str], curves: Sequence[Figure]) -> list[Swept]:
    """The sweeps as the page shows them."""
    return [
        _swept(sweep, f"sweep-{i + 1}", file, curve, names)
        for i, (sweep, file, curve) in enumerate(
            zip(several.sweeps, sweep_files(several), curves, strict=True)
        )
    ]


def _swept(sweep: Sweep, place: str, file: str, curve: Figure, names: Mapping[str, str]) -> Swept:
    said = sweep.sentence(names)
    gated = any(level.gates for level in sweep.levels)
    chart = plotting.svg(curve, title=said, prefix=place)
    return Swept(place, sweep.name, sweep.setting, said, chart, file, gated)
