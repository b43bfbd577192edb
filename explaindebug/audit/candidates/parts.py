"""Parts: what the channels of the last feature map have in common, wherever it is in a picture.

Source: Lee and Seung 2001 (the factors); Fel et al. 2023, CRAFT (factors of activations).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from explaindebug.attributions.gradcam import GradCam
from explaindebug.audit.candidates.base import SOURCES, Candidate, Evidence
from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.rng import generator

PARTS = 4
STEPS = 200
TINY = 1e-9


@SOURCES.register("parts")
def parts(evidence: Evidence) -> list[Candidate]:
    """The pixels of each input where a part is strongest; nothing without a feature map."""
    try:
        maps = features(evidence)
    except UnsupportedModelError:
        return []
    n, channels, height, width = maps.shape
    flat = maps.movedim(1, 3).reshape(n, -1, channels)
    found, held = torch.from_numpy(evidence.found), torch.from_numpy(evidence.held)
    if not bool(flat[found].any()):
        return []
    _, basis = factors(flat[found].reshape(-1, channels), PARTS, evidence.seed)
    weights = loadings(flat[held].reshape(-1, channels), basis, evidence.seed)
    heat = weights.T.reshape(len(basis), len(held), 1, height, width).float()
    made = []
    for k, part in enumerate(heat):
        there = (part.flatten(1).amax(1) - part.flatten(1).amin(1) > TINY).numpy()
        rows = evidence.held[there]
        if len(rows) < evidence.least:
            continue
        size = evidence.images.shape[2:]
        large = F.interpolate(part[there], size, mode="bilinear", align_corners=False).flatten(1)
        order = large.argsort(dim=1, descending=True, stable=True)[:, : evidence.pixels]
        regions = torch.zeros_like(large, dtype=torch.bool).scatter(1, order, True)
        placed = regions.view(-1, 1, *size).to(evidence.images.device)
        made.append(Candidate(f"parts-{k + 1}", f"Part {k + 1} of the feature map", rows, placed))
    return made


def features(evidence: Evidence) -> Tensor:
    """The last feature map (n, channels, h, w) of every input, without what is negative.

    Raises:
        UnsupportedModelError: for a network without one.
    """
    passes, targets = GradCam().passes, torch.from_numpy(evidence.predicted)
    targets = targets.to(evidence.images.device)
    passes.check(evidence.network, evidence.images[:1], targets[:1])
    found = []
    for rows in torch.split(torch.arange(len(targets)), evidence.chunk):
        values = passes.run(evidence.network, evidence.images[rows], targets[rows]).values
        found.append(values.detach().clamp_min(0).double().cpu())
    return torch.cat(found)


def factors(values: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Non-negative W (n, count), H (count, d) with small ||values - W H||, by Lee and Seung's
    multiplicative updates, which never raise it; the rows of H have the length 1.
    """
    n, d = values.shape
    drawn = torch.rand(n + d, count, generator=generator(seed), dtype=values.dtype) + TINY
    scale = (values.mean() / count).sqrt()
    w, h = drawn[:n] * scale, drawn[n:].T * scale
    for _ in range(STEPS):
        h = h * (w.T @ values) / (w.T @ w @ h + TINY)
        w = w * (values @ h.T) / (w @ (h @ h.T) + TINY)
    lengths = h.norm(dim=1, keepdim=True).clamp_min(TINY)
    return w * lengths.T, h / lengths


def loadings(values: Tensor, basis: Tensor, seed: int = 0) -> Tensor:
    """Non-negative W (n, count) with small ||values - W basis||, for a basis that stays."""
    shape = len(values), len(basis)
    w = torch.rand(shape, generator=generator(seed, 1), dtype=values.dtype) + 0.1
    for _ in range(STEPS):
        w = w * (values @ basis.T) / (w @ (basis @ basis.T) + TINY)
    return w
