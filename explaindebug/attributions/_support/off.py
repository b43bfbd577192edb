"""What stands in an image where something is switched off."""

from typing import Any

import torch
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]
from torch import Tensor

from explaindebug.attributions._support.options import one_of
from explaindebug.core.errors import ConfigError

Off = str | float | tuple[float, ...]
WORDS = ("mean", "zeros", "blur", "training_mean")
BLUR = 0.1  # sigma, as a share of the shorter side: no outline of an object is left


def checked_off(off: Any, label: str) -> Off:
    """The option `off` with a colour as a tuple; raises ConfigError for an unknown word."""
    if isinstance(off, str):
        one_of(WORDS, "off", off, label)
        return off
    return off if isinstance(off, int | float) else tuple(float(x) for x in off)


def of_references(off: Off, references: Tensor) -> Off:
    """`training_mean` as the mean colour of references (m, c, h, w); others as they are."""
    return tuple(references.double().mean((0, 2, 3)).tolist()) if off == "training_mean" else off


def require_colour(off: Off, label: str) -> None:
    """Raises ConfigError for a `training_mean` without references."""
    if off == "training_mean":
        raise ConfigError(
            f"{label}: off=training_mean needs images of the training distribution. Pass "
            "attribute(..., references=images), or choose off=mean or off=zeros."
        )


def off_images(off: Off, images: Tensor, labels: Tensor) -> Tensor:
    """Images (n, c, h, w) with all superpixels off: in their mean colours, blurred, or in a colour.

    `labels` (n, h, w) are the superpixels.
    """
    if off == "mean":
        return _mean_colours(images, labels)
    if off == "blur":
        return blurred(images)
    colour = torch.tensor(0.0 if off == "zeros" else off, dtype=images.dtype)
    if colour.ndim and len(colour) != images.shape[1]:
        raise ConfigError(
            f"off has {len(colour)} channels, but the images have {images.shape[1]}: prepare the "
            "method with references that look like the images."
        )
    return colour.to(images.device).view(1, -1, 1, 1).expand_as(images)


def _mean_colours(images: Tensor, labels: Tensor) -> Tensor:
    """Each pixel in its superpixel's mean colour; on the CPU, where sums are reproducible."""
    n, c, _, _ = images.shape
    x, at = images.cpu().double().flatten(2), labels.cpu().flatten(1)[:, None]
    sizes = torch.zeros(n, 1, int(at.max()) + 1, dtype=x.dtype)
    sums = sizes.expand(n, c, -1).clone()
    sizes.scatter_add_(2, at, torch.ones_like(x[:, :1]))
    sums.scatter_add_(2, at.expand_as(x), x)
    means = (sums / sizes.clamp(min=1)).gather(2, at.expand_as(x))
    return means.view_as(images).to(images)


def blurred(images: Tensor) -> Tensor:
    """Images (n, c, h, w) under a Gaussian of `BLUR` x their shorter side; on the CPU."""
    sigma = BLUR * min(images.shape[2:])
    x = images.cpu().double().numpy()
    return torch.from_numpy(gaussian_filter(x, (0, 0, sigma, sigma), mode="nearest")).to(images)
