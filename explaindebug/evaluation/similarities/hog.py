"""Rank correlation of two maps' edge directions. Adebayo et al., Sanity Checks, NeurIPS 2018."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from skimage.feature import hog
from torch import Tensor

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.similarities.base import SIMILARITIES, Similarity
from explaindebug.evaluation.similarities.spearman import Ranked, Spearman


@SIMILARITIES.register("hog")
@dataclass(frozen=True)
class HOGSpearman(Similarity):
    """Spearman's correlation of histograms of oriented gradients (Dalal, Triggs, 2005).

    Histograms by scikit-image with 9 directions and blocks of 3 x 3 cells; with several channels,
    each pixel uses the channel with the strongest gradient; maps are divided by their largest value
    first. Cells are `cell` pixels wide; by default a fourteenth of the map's shorter side (16
    pixels at 224), but at least 4. Runs on the CPU, one map at a time.

    Raises:
        ConfigError: if maps are too small for 3 x 3 cells.
    """

    cell: int | None = None

    lowest: ClassVar[float] = -1.0
    highest: ClassVar[float] = 1.0

    def prepare(self, maps: Tensor, data_range: float | None) -> Ranked:
        h, w = maps.shape[-2:]
        cell = self.cell or max(4, min(h, w) // 14)
        if min(h, w) < 3 * cell:
            raise ConfigError(
                f"hog needs room for 3 x 3 cells of {cell} pixels, but maps are {h} x {w}. Use "
                f"larger images, or a cell of {max(1, min(h, w) // 3)}."
            )
        peak = maps.flatten(1).abs().amax(1).view(-1, 1, 1, 1)  # hog is not quite scale-invariant
        pictures = (maps.double() / peak).movedim(1, -1).cpu().numpy()
        found = [hog(p, pixels_per_cell=(cell, cell), channel_axis=-1) for p in pictures]
        features = torch.from_numpy(np.stack(found)).to(maps.device)
        broken = maps.flatten(1).isnan().any(1, keepdim=True)
        features = features.masked_fill(broken, torch.nan)
        return Spearman().prepare(features[:, None, None], None)

    def compare(self, reference: Ranked, candidate: Ranked) -> Tensor:
        return Spearman().compare(reference, candidate)
