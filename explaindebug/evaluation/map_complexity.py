"""Complexity of maps, and its rise when the network's weights are lost: Efficient MPRT.

Source: Hedström et al. 2024, "A Fresh Look at Sanity Checks for Saliency Maps", section 4.
"""

import torch
from torch import Tensor


def entropy(maps: Tensor, bins: int = 100) -> Tensor:
    """Shannon entropies (n,) float64, in nats, of the histograms of raw maps (n, c, h, w).

        H = - sum_b p_b log p_b

    where p_b is the share of a map's pixels, channels summed, in the b-th of `bins` equal parts of
    the range from its smallest to its largest value, so neither scale nor offset matters. From 0
    (all pixels equal) to log(bins) (all bins equally full); NaN if the map is not finite.
    """
    flat = maps.double().sum(1).flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    finite = flat.isfinite().all(1)
    index = ((flat - low) / torch.where(high > low, high - low, 1.0) * bins).nan_to_num().long()
    counts = torch.zeros(len(flat), bins, dtype=torch.float64, device=flat.device)
    counts.scatter_add_(1, index.clamp(0, bins - 1), torch.ones_like(flat))
    share = counts / flat.shape[1]
    nats = -torch.xlogy(share, share).sum(1)
    return nats.masked_fill(~finite, torch.nan)


def rise(first: Tensor, now: Tensor) -> Tensor:
    """(H' - H) / H (n,), the relative rise in complexity over the trained network's maps.

    For a network without any trained weight it is the score of Efficient MPRT: higher is better, as
    a map that depends on what was learned becomes noise. NaN if a trained map's entropy is 0.
    """
    return (now - first) / torch.where(first > 0, first, torch.nan)
