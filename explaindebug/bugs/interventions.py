"""Interventions on regions of pictures: a network that needs a region misses it.

A region is removed by one of `FILLS`. Its control removes a region of the same shape and size
elsewhere in the same picture, so that what both have in common, an unnatural patch, drops out.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from explaindebug.core.errors import DataError
from explaindebug.core.registry import Registry

# images (n, c, h, w), regions (n, 1, h, w) bool -> images with other content in the regions
Fill = Callable[[Tensor, Tensor], Tensor]
FILLS: Registry[Fill] = Registry("fill")
BLUR = 0.1  # standard deviation of `blur`, as a share of the picture's shorter side
STEPS = 16  # shifts tried in each direction, when a matched region is looked for


def removed(images: Tensor, regions: Tensor, fill: str = "inpaint") -> Tensor:
    """The images (n, c, h, w) with the content of their regions (n, 1, h, w) replaced.

    Raises:
        ConfigError: for an unknown fill.
        DataError: if regions are not boolean masks of the images' size.
    """
    check_regions(images, regions)
    return torch.where(regions, FILLS[fill](images, regions), images)


def check_regions(images: Tensor, regions: Tensor) -> None:
    """Raises DataError for regions that are not boolean masks (n, 1, h, w) of the images."""
    n, _, h, w = images.shape
    if regions.dtype != torch.bool or regions.shape != (n, 1, h, w):
        raise DataError(
            f"regions are {regions.dtype} {tuple(regions.shape)}, but images "
            f"{tuple(images.shape)} need torch.bool {(n, 1, h, w)}."
        )


def elsewhere(regions: Tensor, seed: int = 0) -> Tensor:
    """Regions of the same shape and size in another place, with as little overlap as possible.

    Each is shifted cyclically, so that it keeps its area even where it crosses the border; of
    shifts that overlap about equally little, one is drawn by `seed` and position in the batch.
    """
    n, _, h, w = regions.shape
    flat = regions[:, 0].double()
    spectrum = torch.fft.rfft2(flat)
    overlap = torch.fft.irfft2(spectrum.abs().square(), s=(h, w)).round()  # by shift (n, h, w)
    ys, xs = (torch.arange(0, side, max(1, side // STEPS)) for side in (h, w))
    tried = overlap[:, ys][:, :, xs].flatten(1).cpu()
    size = flat.sum((1, 2)).cpu()
    moved = []
    for i in range(n):
        near = (tried[i] <= tried[i].min() + 0.02 * size[i]).nonzero().flatten()
        k = int(near[np.random.default_rng((seed, i)).integers(len(near))])
        shift = (int(ys[k // len(xs)]), int(xs[k % len(xs)]))
        moved.append(torch.roll(regions[i], shift, (1, 2)))
    return torch.stack(moved)


@FILLS.register("mean")
def mean(images: Tensor, regions: Tensor) -> Tensor:
    """The mean colour of what is outside the region."""
    outside = (~regions).to(images)
    count = outside.sum((2, 3), keepdim=True).clamp_min(1)
    return ((images * outside).sum((2, 3), keepdim=True) / count).expand_as(images)


@FILLS.register("blur")
def blur(images: Tensor, regions: Tensor) -> Tensor:
    """The region itself, blurred: colours stay, details go."""
    return _blurred(images, BLUR * min(images.shape[2:]))


@FILLS.register("inpaint")
def inpaint(images: Tensor, regions: Tensor) -> Tensor:
    """What is around the region, continued smoothly into it.

    A blur of the outside alone, divided by the blur of its mask (normalised convolution, Knutsson
    and Westin 1993), of the smallest width that reaches each pixel.
    """
    outside = (~regions).to(images)
    result, sigma = mean(images, regions).clone(), 1.0
    known = outside.bool()
    while not bool(known.all()) and sigma < max(images.shape[2:]):
        weight = _blurred(outside, sigma)
        there = (weight > 0.05) & ~known
        filled = _blurred(images * outside, sigma) / weight.clamp_min(1e-6)
        result = torch.where(there, filled, result)
        known, sigma = known | there, 2 * sigma
    return result


@FILLS.register("swap")
def swap(images: Tensor, regions: Tensor) -> Tensor:
    """The same pixels of the next image in the batch."""
    return images.roll(-1, 0)


def _blurred(images: Tensor, sigma: float) -> Tensor:
    reach = min(round(3 * sigma), min(images.shape[2:]) - 1)
    return gaussian_blur(images, [2 * reach + 1] * 2, [sigma] * 2) if reach else images
