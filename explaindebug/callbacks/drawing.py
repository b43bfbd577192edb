"""Heat maps of a few inputs as one picture per method."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from explaindebug.callbacks.measuring import Maps, Panel
from explaindebug.callbacks.probe import Probe
from explaindebug.heatmaps import Pixels, colour, display, to_bytes
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
    known = dict(enumerate(classes or ()))
    return [known.get(label, f"class {label}") for label in labels.tolist()]


def gallery(
    shown: Mapping[str, Mapping[int, Panel]], rows: Sequence[int], captions: Sequence[str]
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
        np.stack([first[row].inputs for row in rows]), tuple(named[r] for r in rows), maps
    )


def model_strip(shown: Gallery, method: str, *, side: int = 96) -> Pixels:
    """One picture (h, w, 3) of one method: the inputs, and below them a row of maps per model."""
    signed = signs(shown)[method]
    lines = [[enlarge(picture, side, smooth=True) for picture in shown.inputs]]
    for maps in shown.maps.values():
        lines.append([enlarge(p, side) for p in colour(maps[method], signed=signed)])
    return grid(lines, shown.captions, ["input", *shown.maps])
