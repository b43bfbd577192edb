"""A sweep as a figure: the effect at each level, a panel per method."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from explaindebug.evaluation.multirun.sweeps import Level, Sweep
from explaindebug.report.figures.effects import columns, quiet, short
from explaindebug.report.figures.style import (
    ANSWERS,
    BELONGS,
    EACH,
    FAINT,
    INK,
    LINES,
    MARKS,
    MUTED,
    STYLE,
    VOID,
    legend,
    settle,
)

NEAR = 0.16  # of the width: the numbers of ticks closer than this would overlap
DECADES = 100  # ratio of the largest to the smallest value from which on the axis is logarithmic


def sweep_figure(sweep: Sweep, names: Mapping[str, str]) -> Figure:
    """Effect of each method, with its interval, over the swept values.

    Colour and shape of a mark show the verdict; a cross marks a void level, at which the network
    has not learned the bug. Inside the shaded margin an effect is too small to matter; the other
    methods are grey in the background. The last panel shows the gate's value, a tick per run, with
    the required minimum as a dashed line.
    """
    methods = [m for m in names if any(m in level.verdicts for level in sweep.levels)]
    gated = any(level.gates for level in sweep.levels)
    panels = len(methods) + gated
    wide = columns(panels)
    rows = max(1, -(-panels // wide))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.05 * wide, 0.7 + 1.5 * rows), layout="constrained")
        grid = figure.subplots(rows, wide, sharex=True, squeeze=False).ravel()
        for axes, method in zip(grid, methods, strict=False):
            _effects(axes, sweep, methods, method)
            axes.set_title(short(names[method]), loc="left", color=INK, fontweight="bold")
            axes.set_gid(BELONGS + method)
        for axes in grid[1 : len(methods)]:
            axes.sharey(grid[0])
        if gated:
            _gate(grid[len(methods)], sweep)
        for k, axes in enumerate(grid):
            axes.set_visible(k < panels)
            _finish(axes, sweep, named=panels - wide <= k < panels)
            if k < len(methods):
                axes.tick_params(axis="y", labelleft=k % wide == 0)
        figure.supylabel("effect, with its interval", color=MUTED, fontsize=8.5)
        figure.supxlabel(sweep.setting, color=MUTED, fontsize=8.5)
        answers = {v.answer for level in sweep.levels for v in level.verdicts.values()}
        void = any(level.void for level in sweep.levels)
        found = [{**style, "label": a} for a, style in MARKS.items() if a in answers]
        legend(figure, [*found, *[VOID] * void])
        return settle(figure)


def _effects(axes: Axes, sweep: Sweep, methods: list[str], method: str) -> None:
    for other in methods:
        axes.plot(*_curve(sweep, other), color=FAINT, alpha=0.55, linewidth=0.6)
    axes.plot(*_curve(sweep, method), color=MUTED, linewidth=1.1)
    for level in sweep.levels:
        _mark(axes, level, method)
    margin = max(level.verdicts[method].margin for level in sweep.levels)
    axes.axhspan(-margin, margin, color=FAINT, alpha=0.25, linewidth=0)
    axes.axhline(0, color=FAINT, linewidth=0.8)


def _mark(axes: Axes, level: Level, method: str) -> None:
    verdict = level.verdicts[method]
    colour = FAINT if level.void else ANSWERS[verdict.answer]
    style = VOID if level.void else MARKS[verdict.answer]
    axes.plot([level.value] * 2, verdict.interval, color=colour, linewidth=1.6)
    axes.plot(level.value, verdict.effect, **style)


def _curve(sweep: Sweep, method: str) -> tuple[list[float], list[float]]:
    values = [level.value for level in sweep.levels]
    return values, [level.verdicts[method].effect for level in sweep.levels]


def _gate(axes: Axes, sweep: Sweep) -> None:
    """The gate's value in each run, a line through their means, and the required minimum."""
    measured = [(level.value, [g.value for g in level.gates]) for level in sweep.levels]
    for value, found in measured:
        axes.plot([value] * len(found), found, **{**EACH, "marker": "_"})
    means = [sum(found) / len(found) if found else math.nan for _, found in measured]
    axes.plot([value for value, _ in measured], means, color=MUTED, linewidth=1.1)
    gate = next(gate for level in sweep.levels for gate in level.gates)
    axes.axhline(gate.least, **{k: v for k, v in LINES["control"].items() if k != "label"})
    axes.set_title(f"gate: {short(gate.name, 20)}", loc="left", color=MUTED)


def _finish(axes: Axes, sweep: Sweep, *, named: bool) -> None:
    values = [level.value for level in sweep.levels]
    log = values[0] > 0 and values[-1] / values[0] >= DECADES
    if log:
        axes.set_xscale("log")
    axes.set_xticks(_apart(np.log(values) if log else np.array(values), values), minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.locator_params(axis="y", nbins=5)
    axes.tick_params(axis="x", labelbottom=named)
    quiet(axes)


def _apart(places: npt.NDArray[np.float64], values: Sequence[float]) -> list[float]:
    """The values, from the largest down, whose numbers fit next to each other."""
    kept, last = [], np.inf
    for place, value in zip(places[::-1], reversed(values), strict=True):
        if last - place >= NEAR * (places[-1] - places[0]):
            kept.append(value)
            last = place
    return kept[::-1]
