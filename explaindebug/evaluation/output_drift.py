"""How far a network's outputs have moved, as context for how far its maps have."""

import torch
from torch import Tensor

from explaindebug.attributions._engine.targets import predicted

DRIFTS = ("agreement", "probability", "l2", "cosine")


def drift(first: Tensor, now: Tensor) -> dict[str, Tensor]:
    """Four numbers (n,) float64 for logits (n, k) or (n,) before and after, by name.

    - `agreement`: 1 where both predict the same class, else 0;
    - `probability`: total variation between the class probabilities (softmax, or sigmoid for a
      single logit), 1/2 sum_k |p_k - q_k|: from 0, no change, to 1, all of the probability moved;
    - `l2`: |z' - z| / |z|, the distance of the logits relative to their size, without upper bound;
    - `cosine`: similarity of the logits: 1 if only their scale changed.
    """
    z, w = (logits.double().reshape(len(logits), -1) for logits in (first, now))
    distance, size = (w - z).norm(dim=1), z.norm(dim=1)
    return {
        "agreement": (predicted(first) == predicted(now)).double(),
        "probability": (_probabilities(z) - _probabilities(w)).abs().sum(1) / 2,
        "l2": distance / size,
        "cosine": (z * w).sum(1) / (size * w.norm(dim=1)),
    }


def _probabilities(logits: Tensor) -> Tensor:
    if logits.shape[1] > 1:
        return logits.softmax(1)
    p = logits.sigmoid()
    return torch.cat([p, 1 - p], 1)
