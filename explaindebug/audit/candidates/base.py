"""What a source of candidates is given, and what it gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import uniform_filter  # type: ignore[attr-defined]
from scipy.stats import rankdata
from torch import Tensor, nn

from explaindebug.core.registry import Registry

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
SMOOTH = 0.06  # window in which evidence for a region is averaged, as a share of the side


@dataclass(frozen=True, eq=False)
class Candidate:
    """A region per input that the network may rely on; found on inputs other than these."""

    name: str  # "ranks-1": in keys and files
    title: str
    rows: Ints  # (m,) the held-out inputs that it is about
    regions: Tensor  # (m, 1, h, w) bool, True on the region


@dataclass(frozen=True, eq=False)
class Evidence:
    """The network's maps, in two halves: a source looks for regions on `found` alone."""

    network: nn.Module  # a private copy in eval mode
    images: Tensor  # (n, c, h, w)
    predicted: Ints  # (n,)
    ranks: Floats  # (n, h, w), see `ranked`
    found: Ints  # rows of the inputs on which candidates are found
    held: Ints  # rows of those on which they are tested
    names: Mapping[int, str]  # class -> its name
    area: float  # share of the picture that a region covers
    least: int  # fewest held-out inputs of a candidate
    seed: int
    chunk: int

    @property
    def pixels(self) -> int:
        """The number of pixels of a region."""
        _, h, w = self.ranks.shape
        return max(1, round(self.area * int(h) * int(w)))

    def classes(self) -> Iterator[tuple[int, Ints, Ints]]:
        """Each predicted class with its inputs of both halves, if there are enough of them."""
        for one in np.unique(self.predicted[self.held]).tolist():
            mine = self.predicted == one
            found, held = self.found[mine[self.found]], self.held[mine[self.held]]
            if len(held) >= self.least and len(found) >= 2:
                yield one, found, held

    def same(self, region: Bools, rows: Ints) -> Tensor:
        """One region (h, w) for all these inputs, (m, 1, h, w)."""
        where = torch.from_numpy(region).to(self.images.device)
        return where.expand(len(rows), 1, *region.shape)


Source = Callable[[Evidence], Sequence[Candidate]]
SOURCES: Registry[Source] = Registry("source", "explaindebug.audit.candidates")


def ranked(maps: Mapping[str, Tensor]) -> Floats:
    """Mean over methods of the ranks of |map| (n, h, w): 0 for the weakest pixel, 1 for the
    strongest, 0.5 for all pixels of a constant map, or of one that is not finite.
    """
    found = []
    for raw in maps.values():
        sizes = raw.detach().abs().sum(1).double().cpu().numpy()
        n, h, w = sizes.shape
        sizes = np.where(np.isfinite(sizes).all((1, 2))[:, None, None], sizes, 0.0)
        order: Any = rankdata(sizes.reshape(n, -1), axis=1)
        found.append(((order - 1) / max(1, h * w - 1)).reshape(n, h, w))
    return np.asarray(np.mean(found, 0), np.float64)


def top(evidence: Floats, pixels: int) -> Bools | None:
    """The `pixels` of (h, w) with the most evidence, smoothed; None where all have the same."""
    side = max(1, round(SMOOTH * min(evidence.shape)))
    smooth = uniform_filter(evidence, side, mode="nearest")
    if np.ptp(smooth) < 1e-9:
        return None
    region = np.zeros(smooth.size, np.bool_)
    region[np.argsort(-smooth.ravel(), kind="stable")[:pixels]] = True
    return region.reshape(smooth.shape)
