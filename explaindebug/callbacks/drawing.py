"""Pictures: heat maps of a few inputs, one strip per method, and curves."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from explaindebug.callbacks.measuring import Maps, Panel
from explaindebug.callbacks.probe import Probe
from explaindebug.heatmaps import Pixels, colour, display, to_bytes
from explaindebug.plotting import STYLE
from explaindebug.results import Gallery
from explaindebug.strips import enlarge, grid, signs


def panels(
    probe: Probe,
    images: Tensor,
    maps: Maps,
    keep: Sequence[int],
    picture: Callable[[Tensor], Tensor],
) -> dict[int, Panel]:
    """What is drawn of those inputs of a share whose row is among `keep`."""
    found: dict[int, Panel] = {}
    for i, row in enumerate(probe.row.tolist()):
        if row in keep:
            shown = {m: display(raw[i : i + 1])[0] for m, raw in maps.items()}
            found[row] = Panel(to_bytes(picture(images[i])), shown)
    return found


def captions(labels: Tensor, classes: Sequence[str] | None) -> list[str]:
    """The names of the labels' classes, where they are known."""
    known = {-1: "no class", **dict(enumerate(classes or ()))}
    return [known.get(label, f"class {label}") for label in labels.tolist()]


def gallery(
    shown: Mapping[str, Mapping[int, Panel]],
    rows: Sequence[int],
    captions: Sequence[str],
    arms: Mapping[str, str] = MappingProxyType({}),
) -> Gallery | None:
    """The panels of all models as one gallery, inputs in the probe's order; None without any."""
    if not shown or not rows:
        return None
    first = next(iter(shown.values()))
    named = dict(zip(rows, captions, strict=True))
    rows = [row for row in rows if row in first]
    maps = {
        model: {
            method: np.stack([found[row].maps[method] for row in rows])
            for method in found[rows[0]].maps
        }
        for model, found in shown.items()
    }
    return Gallery(
        np.stack([first[row].inputs for row in rows]), tuple(named[r] for r in rows), maps, dict(arms)
    )


def model_strip(shown: Gallery, method: str, *, side: int = 96) -> Pixels:
    """One picture (h, w, 3) of one method: the inputs, and below them a row of maps per model."""
    signed = signs(shown)[method]
    lines = [[enlarge(picture, side, smooth=True) for picture in shown.inputs]]
    for maps in shown.maps.values():
        lines.append([enlarge(p, side) for p in colour(maps[method], signed=signed)])
    return grid(lines, shown.captions, ["input", *shown.maps])


def lines(xs: Sequence[float], ys: Mapping[str, Sequence[float]], title: str, xname: str) -> Pixels:
    """A picture (h, w, 3) of lines over the same xs, each with its name in a legend."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained", dpi=100)
        axes = figure.subplots()
        for name, y in ys.items():
            axes.plot(xs, y, marker="o", markersize=3, label=name)
        axes.set_title(title, loc="left")
        axes.set_xlabel(xname)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
