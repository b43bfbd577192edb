"""Normalised inputs as pictures of bytes, for edits that are defined on pictures, and back.

How inputs were normalised is not known. Black is the smallest and white the largest value of each
channel over all inputs: exact if some pixel is black and some pixel is white.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from explaindebug.core.errors import ConfigError
from explaindebug.data.imageset import Pixels


def as_pictures(images: Tensor, what: str) -> tuple[Pixels, Callable[[Pixels], Tensor]]:
    """Inputs (n, c, h, w) as bytes (n, h, w, c), and what turns such bytes into inputs again.

    Raises:
        ConfigError: for inputs that are neither grey nor in three colours; `what` needs pictures.
    """
    if images.shape[1] not in (1, 3):
        raise ConfigError(
            f"{what} needs pictures of 1 or 3 channels, but the inputs have {images.shape[1]}."
        )
    low, high = (end(images, (0, 2, 3)) for end in (torch.amin, torch.amax))
    low, width = (x.view(1, -1, 1, 1) for x in (low, (high - low).clamp_min(1e-12)))
    levels = ((images - low) / width * 255).round().clamp(0, 255).to(torch.uint8)

    def back(pixels: Pixels) -> Tensor:
        found = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(images)
        return found / 255 * width + low

    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy(), back
