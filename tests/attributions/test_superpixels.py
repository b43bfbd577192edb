"""Superpixels: a function of each picture alone, computed once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from skimage.segmentation import quickshift, slic
from skimage.transform import resize
from torch import Tensor

from explaindebug.attributions._support import superpixels as module
from explaindebug.attributions._support.superpixels import (
    SEGMENTERS,
    Grid,
    Labels,
    Picture,
    Quickshift,
    Slic,
    superpixels,
)
from explaindebug.core.errors import AttributionError, ConfigError


def blobs(n: int = 3, c: int = 3, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth pictures (n, c, size, size), as normalised inputs are: negative values too."""
    coarse = torch.randn(n, c, 5, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")


@dataclass(frozen=True)
class Custom:
    """A segmenter of one's own."""

    function: Callable[[Picture], Labels]

    def __call__(self, picture: Picture) -> Labels:
        return self.function(picture)


@pytest.mark.parametrize("segmenter", [Slic(n_segments=12), Slic(adaptive=True), Grid(3, 4)])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_labels_are_numbered_from_zero_without_gaps(segmenter: Custom, channels: int) -> None:
    labels = superpixels(blobs(c=channels), segmenter)
    assert labels.shape == (3, 32, 32)
    for one in labels:
        assert one.unique().tolist() == list(range(int(one.max()) + 1))


def test_slic_and_quickshift_are_scikit_images_on_the_rescaled_picture() -> None:
    x = blobs(1, size=64)
    picture = ((x - x.min()) / (x.max() - x.min()))[0].permute(1, 2, 0).numpy()
    same = [
        (Slic(30, 5.0), slic(picture, n_segments=30, compactness=5.0)),
        (Slic(adaptive=True), slic(picture, n_segments=50, compactness=10, slic_zero=True)),
        (Quickshift(2, 20, 0.5), quickshift(picture, kernel_size=2, max_dist=20, ratio=0.5, rng=0)),
    ]
    for segmenter, theirs in same:
        expected = np.unique(theirs, return_inverse=True)[1].reshape(64, 64)
        np.testing.assert_array_equal(superpixels(x, segmenter)[0].numpy(), expected)


def test_quickshift_of_a_small_picture_is_that_of_the_enlarged_one() -> None:
    small = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    large = resize(small, (60, 90), order=1)  # by 3: centres of pixels fall on centres
    coarse = Quickshift(3, 30)(large)[1::3, 1::3]
    np.testing.assert_array_equal(Quickshift(3, 30, enlarge=60)(small), coarse)
    np.testing.assert_array_equal(Quickshift(3, 30, enlarge=20)(small), Quickshift(3, 30)(small))


def test_limes_own_superpixels_on_small_pictures() -> None:
    x = blobs(6, size=32)
    assert superpixels(x, Quickshift(enlarge=224)).flatten(1).amax(1).min() >= 15
    with pytest.raises(AttributionError, match="single superpixel"):
        superpixels(x, Quickshift())


def test_grid_cuts_rectangles_of_equal_size() -> None:
    labels = superpixels(blobs(1, size=28), Grid(2, 7))[0]
    assert labels.unique(return_counts=True)[1].tolist() == [14 * 4] * 14
    assert labels[[0, 13, 14, 27], [0, 27, 0, 27]].tolist() == [0, 6, 7, 13]


def test_a_picture_alone_decides() -> None:
    x = blobs(4)
    together = superpixels(x, Slic(20))
    for scale, dtype in ((1.0, torch.float64), (4.0, torch.float32)):
        module._known.clear()
        alone = torch.cat([superpixels(scale * one[None].to(dtype), Slic(20)) for one in x])
        assert torch.equal(alone, together)


@pytest.mark.parametrize("size", [16, 28, 64])
@pytest.mark.parametrize("seed", range(3))
def test_the_adaptive_kind_takes_any_picture(size: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    spike = torch.zeros(3, size, size)
    spike[:, size // 2, size // 2] = 1
    odd = [
        torch.zeros(3, size, size),
        torch.rand(3, size, size, generator=rng),
        torch.randn(1, size, size, generator=rng).expand(3, -1, -1),
        spike,
    ]
    labels = superpixels(torch.stack(odd), Slic(adaptive=True))
    assert labels.flatten(1).amax(1).min() >= 15


def test_each_picture_is_segmented_once() -> None:
    calls = []

    def halves(picture: Picture) -> Labels:
        calls.append(picture.shape)
        return np.repeat(np.arange(2), 512).reshape(32, 32)

    segmenter = Custom(halves)
    x = blobs(3)
    superpixels(x, segmenter)
    superpixels(x.flip(0).clone(), segmenter)
    assert len(calls) == 3


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", 4 * 32 * 32)
    segmenter = Grid(2, 2)
    superpixels(blobs(7, seed=5), segmenter)
    assert len(module._known[segmenter]) == 4
    assert module._known[segmenter].bytes == 4 * 32 * 32


def test_labels_are_forgotten_with_their_segmenter() -> None:
    module._known.clear()
    segmenter = Custom(lambda picture: picture.mean(2) > np.median(picture.mean(2)))
    superpixels(blobs(1), segmenter)
    assert len(module._known) == 1
    del segmenter
    assert len(module._known) == 0


def test_a_segmenter_that_can_not_be_remembered_works_all_the_same() -> None:
    class Slotted:
        __slots__ = ()

        def __call__(self, picture: Picture) -> Labels:
            return np.repeat(np.arange(2), 512).reshape(32, 32)

    assert superpixels(blobs(1), Slotted()).unique().tolist() == [0, 1]


def test_one_superpixel_is_an_error_that_names_input_and_remedy() -> None:
    x = torch.stack([blobs(1)[0], torch.full((3, 32, 32), 0.25)])
    bright = Custom(lambda picture: picture.mean(2) > 0.5)
    with pytest.raises(AttributionError, match=r"input 1 .*0\.25 to 0\.25.*single.*Custom.*grid"):
        superpixels(x, bright)


def test_bad_input_is_refused() -> None:
    x = blobs(2)
    with pytest.raises(ConfigError, match=r"labels of shape \(2, 2\)"):
        superpixels(x, Custom(lambda picture: np.arange(4).reshape(2, 2)))
    x[1, 0, 3, 3] = torch.nan
    with pytest.raises(AttributionError, match=r"input 1 .*NaN"):
        superpixels(x, Grid())


def test_segmenters_are_built_by_name() -> None:
    assert SEGMENTERS.build("quickshift") == Quickshift(4.0, 200.0, 0.2)
    assert SEGMENTERS.build({"slic": {"n_segments": 9}}) == Slic(9)
    with pytest.raises(ConfigError, match="Did you mean 'slic'"):
        SEGMENTERS.build("slics")


@pytest.mark.parametrize(
    "spec", [{"slic": {"n_segments": 1}}, {"quickshift": {"kernel_size": 0}}, {"grid": {"rows": 0}}]
)
def test_options_out_of_range_are_refused(spec: dict[str, dict[str, int]]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        SEGMENTERS.build(spec)
