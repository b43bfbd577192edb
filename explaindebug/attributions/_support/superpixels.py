"""Superpixels: groups of pixels that are switched on and off together.

A segmenter is a frozen dataclass: picture (h, w, c), float32 in [0, 1] -> labels (h, w).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from skimage.segmentation import quickshift, slic
from skimage.transform import resize
from torch import Tensor

from explaindebug.attributions._support.memo import Memo
from explaindebug.core.errors import AttributionError, ConfigError
from explaindebug.core.registry import Registry

Picture = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer[Any]]
Segmenter = Callable[[Picture], Labels]

SEGMENTERS: Registry[Callable[..., Segmenter]] = Registry(
    "segmenter", "explaindebug.attributions._support", also="or a function of a picture"
)


@SEGMENTERS.register("quickshift")
@dataclass(frozen=True)
class Quickshift:
    """Modes of the density in colour and position; LIME's default, for pictures of about 300 px.

    The options are scikit-image's: `kernel_size` and `max_dist` in pixels (and Lab units), `ratio`
    of colour to position. With these, pictures of 32 to 64 px yield only one to six superpixels;
    thirty or more if they are first enlarged until the shorter side has `enlarge` pixels.

    Source: Vedaldi, Soatto: Quick shift and kernel methods for mode seeking, ECCV 2008.
    """

    kernel_size: float = 4.0
    max_dist: float = 200.0
    ratio: float = 0.2
    enlarge: int | None = None  # None: the picture as it is

    def __post_init__(self) -> None:
        _check(self.kernel_size >= 1, self, "kernel_size of 1 or more")

    def __call__(self, picture: Picture) -> Labels:
        sides = picture.shape[:2]
        factor = max(1.0, (self.enlarge or 0) / min(sides))
        if factor == 1:
            return self._labels(picture)
        larger = tuple(round(factor * side) for side in sides)
        large = resize(picture, larger, order=1)  # type: ignore[no-untyped-call]
        labels = self._labels(large)
        centres = ((np.arange(n) + 0.5) * m / n for n, m in zip(sides, larger, strict=True))
        return labels[np.ix_(*(at.astype(int) for at in centres))]

    def _labels(self, picture: Picture) -> Labels:
        colour = _in_colour(picture)
        return quickshift(  # type: ignore[no-any-return, no-untyped-call]
            colour,
            ratio=self.ratio,
            kernel_size=self.kernel_size,
            max_dist=self.max_dist,
            convert2lab=colour.shape[2] == 3,
            rng=0,
        )


@SEGMENTERS.register("slic")
@dataclass(frozen=True)
class Slic:
    """About `n_segments` patches of similar colour, by k-means in colour and position.

    `compactness` weighs position against colour. `adaptive` sets it for each superpixel by its
    contrast (SLICO); otherwise a noisy picture can end up as a single superpixel.

    Source: Achanta et al.: SLIC superpixels compared to state-of-the-art methods, PAMI 2012.
    """

    n_segments: int = 50
    compactness: float = 10.0
    adaptive: bool = False

    def __post_init__(self) -> None:
        _check(
            self.n_segments >= 2 and self.compactness > 0,
            self,
            "2 n_segments or more, compactness above 0",
        )

    def __call__(self, picture: Picture) -> Labels:
        colour = _in_colour(picture)
        return slic(  # type: ignore[no-any-return]
            colour,
            n_segments=self.n_segments,
            compactness=self.compactness,
            slic_zero=self.adaptive,
            convert2lab=colour.shape[2] == 3,
            start_label=0,
            channel_axis=-1,
        )


@SEGMENTERS.register("grid")
@dataclass(frozen=True)
class Grid:
    """`rows` × `columns` rectangles, whatever the picture shows."""

    rows: int = 7
    columns: int = 7

    def __post_init__(self) -> None:
        _check(min(self.rows, self.columns) >= 1, self, "1 row and column or more")

    def __call__(self, picture: Picture) -> Labels:
        h, w, _ = picture.shape
        row, column = np.arange(h) * self.rows // h, np.arange(w) * self.columns // w
        return row[:, None] * self.columns + column  # type: ignore[no-any-return]


def superpixels(images: Tensor, segmenter: Segmenter) -> Tensor:
    """Labels (n, h, w) int64 on the images' device, 0 to m - 1 in each image.

    They depend only on each image, rescaled to [0, 1] as inputs may be normalised in any way. The
    latest ones are cached while the segmenter exists, so a cascade segments each input once.

    Raises:
        AttributionError: for an image that is a single superpixel, or not finite.
    """
    pictures = images.detach().cpu().float().permute(0, 2, 3, 1).contiguous().numpy()
    labels = [_labels(picture, segmenter, place) for place, picture in enumerate(pictures)]
    return torch.from_numpy(np.stack(labels).astype(np.int64)).to(images.device)


ROOM = 2**26  # bytes of labels that are cached per segmenter; an image of 224 px takes 50 KB
# Weak references, as a user's segmenter may hold anything, such as a network.
_known: WeakKeyDictionary[Segmenter, Memo[Labels]] = WeakKeyDictionary()


def _labels(picture: Picture, segmenter: Segmenter, place: int) -> Labels:
    digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
    try:
        known = _known.setdefault(segmenter, Memo(ROOM, lambda labels: labels.nbytes))
    except TypeError:  # it is not hashable, or can't be weakly referenced
        return _segmented(picture, segmenter, place)
    return known.get((picture.shape, digest), lambda: _segmented(picture, segmenter, place))


def _segmented(picture: Picture, segmenter: Segmenter, place: int) -> Labels:
    if not np.isfinite(picture).all():
        raise AttributionError(f"input {place} of the images holds NaN or infinite pixels.")
    low, high = float(picture.min()), float(picture.max())
    labels = segmenter((picture - low) / ((high - low) or 1.0))
    if labels.shape != picture.shape[:2]:
        raise ConfigError(
            f"{segmenter} returned labels of shape {labels.shape} for a picture of "
            f"{picture.shape[:2]}: one label per pixel is needed."
        )
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) == 1:
        raise AttributionError(
            f"input {place} of the images (pixels from {low:.3g} to {high:.3g}) is a single "
            f"superpixel under {segmenter}, so no part of it can be switched off. "
            "Use more and smaller superpixels, or segmenter=grid."
        )
    return numbers.reshape(labels.shape).astype(np.min_scalar_type(len(names) - 1))


def _in_colour(picture: Picture) -> Picture:
    """Grey pictures with three equal channels, as segmenters work in Lab; others unchanged."""
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _check(valid: bool, segmenter: Segmenter, expected: str) -> None:
    if not valid:
        raise ConfigError(f"{segmenter}: expected {expected}.")
