"""Turn raw attributions and images into maps and pictures for display."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

Maps = npt.NDArray[np.float32]  # (n, h, w), within [-1, 1]
Pixels = npt.NDArray[np.uint8]  # (..., h, w, 3)


def display(raw: Tensor, *, percentile: float = 99.0) -> Maps:
    """Maps (n, h, w) in [-1, 1]: channels summed, divided by the 99th percentile s of |.|, clipped.

    x / s keeps zeros and signs. (The authors' helper maps x to (x + s) / 2s and clips that to
    [-1, 1], which shows only half of the negative range.) Each map has its own scale, so strengths
    can't be compared between maps. If fewer than one pixel in a hundred differs from zero, s is the
    maximum. Pixels that are not finite become NaN.

    Source: protocol of the paper's published code, `utils`, diverging normalisation, corrected.
    """
    summed = raw.detach().float().sum(1).cpu().numpy()
    return np.stack([_scaled(one, percentile) for one in summed]) if len(summed) else summed


def _scaled(one: npt.NDArray[np.float32], percentile: float) -> npt.NDArray[np.float32]:
    finite = np.isfinite(one)
    strength = np.abs(one[finite])
    if strength.size == 0 or not strength.any():
        return np.where(finite, np.float32(0), np.float32(np.nan))
    scale = np.percentile(strength, percentile) or strength.max()
    return np.where(finite, (one / scale).clip(-1, 1), np.nan).astype(np.float32)


def to_bytes(image: Tensor) -> Pixels:
    """A picture (c, h, w) in [0, 1] as (h, w, 3) bytes; grey unless it has 1 or 3 channels."""
    image = image if len(image) in (1, 3) else image.mean(0, keepdim=True)
    array = image.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(array.expand(-1, -1, 3).numpy())


def stretched(image: Tensor) -> Tensor:
    """A normalised image (c, h, w) rescaled to [0, 1] by its own range."""
    low, high = image.amin(), image.amax()
    return (image - low) / (high - low).clamp(min=1e-12)
