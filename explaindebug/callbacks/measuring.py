"""Explaining a share of the probe, and putting the shares of all processes together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explaindebug.attributions.jobs import Progress
from explaindebug.attributions.plan import Plan
from explaindebug.callbacks.probe import Probe
from explaindebug.heatmaps import Pixels, colour, display
from explaindebug.results import Gallery
from explaindebug.scores import Scores
from explaindebug.strips import enlarge, grid, signs

Maps = Mapping[str, Tensor]  # method -> raw maps (n, c, h, w)


class Panel(NamedTuple):
    """What is drawn of one input under one model."""

    inputs: npt.NDArray[np.uint8]  # (h, w, 3)
    maps: dict[str, npt.NDArray[np.float32]]  # method -> (h, w)


@dataclass
class Measured:
    """What one process found out on its share of the probe; plain enough to be sent."""

    scores: Scores = field(default_factory=Scores)
    warnings: list[str] = field(default_factory=list)
    shown: dict[str, dict[int, Panel]] = field(default_factory=dict)  # model -> input -> panel


class Explain:
    """Explains images under several networks with the same methods.

    Methods that need a background or a fit are made ready once per network, with `references`.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        references: Tensor,
        chunk: int,
        workers: int | None,
        progress: Progress | None,
    ) -> None:
        self.plan = plan
        self.references = references
        self.chunk, self.workers, self.progress = chunk, workers, progress
        self._plans: dict[int, tuple[nn.Module, Plan]] = {}

    def __call__(
        self,
        network: nn.Module,
        images: Tensor,
        targets: Tensor,
        *,
        prepared_on: nn.Module | None = None,
    ) -> Maps:
        """Raw maps (n, c, h, w) of every method.

        `prepared_on` is the network from before its weights changed: patterns that are `frozen`
        stay those of that one, all that is fitted to weights is fitted again.
        """
        source = network if prepared_on is None else prepared_on
        if id(source) not in self._plans:
            # The network is kept beside its plan: the id of one that is gone can come back.
            self._plans[id(source)] = (source, self.plan.prepare(source, self.references))
        plan = self._plans[id(source)][1]
        if prepared_on is not None:
            plan = plan.prepare(network, self.references)
        return plan(
            network,
            images,
            targets,
            chunk=self.chunk,
            workers=self.workers,
            progress=self.progress,
        )


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


def to_bytes(image: Tensor) -> npt.NDArray[np.uint8]:
    """A picture (c, h, w) in [0, 1] as (h, w, 3) bytes; other than 1 or 3 channels become grey."""
    image = image if len(image) in (1, 3) else image.mean(0, keepdim=True)
    array = image.detach().cpu().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
    return np.ascontiguousarray(array.expand(-1, -1, 3).numpy())


def stretched(image: Tensor) -> Tensor:
    """A normalised image (c, h, w) brought to [0, 1] by its own range."""
    low, high = image.amin(), image.amax()
    return (image - low) / (high - low).clamp(min=1e-12)


def merged(shares: Sequence[Measured]) -> Measured:
    """The shares of all processes as one, the same whichever process had which input."""
    whole = Measured()
    for share in shares:
        whole.scores += share.scores
        whole.warnings += [w for w in share.warnings if w not in whole.warnings]
        for model, found in share.shown.items():
            whole.shown.setdefault(model, {}).update(found)
    return whole


def gallery(
    shown: Mapping[str, Mapping[int, Panel]], rows: Sequence[int], captions: Mapping[int, str]
) -> Gallery | None:
    """The panels of all models as one gallery, inputs in the probe's order; None without any."""
    if not shown or not rows:
        return None
    first = next(iter(shown.values()))
    rows = [row for row in rows if row in first]
    maps = {
        model: {
            method: np.stack([found[row].maps[method] for row in rows])
            for method in found[rows[0]].maps
        }
        for model, found in shown.items()
    }
    return Gallery(
        np.stack([first[row].inputs for row in rows]), tuple(captions[r] for r in rows), maps
    )


def model_strip(shown: Gallery, method: str, *, side: int = 96) -> Pixels:
    """One picture (h, w, 3) of one method: the inputs, and below them a row of maps per model."""
    signed = signs(shown)[method]
    lines = [[enlarge(picture, side, smooth=True) for picture in shown.inputs]]
    for maps in shown.maps.values():
        lines.append([enlarge(p, side) for p in colour(maps[method], signed=signed)])
    return grid(lines, shown.captions, ["input", *shown.maps])
