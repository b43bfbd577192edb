import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from explaindebug.errors import ConfigError
from explaindebug.similarities.ssim import SSIM


def reference(a: np.ndarray, b: np.ndarray, data_range: float) -> list[float]:
    options = {"gaussian_weights": True, "sigma": 1.5, "data_range": data_range, "channel_axis": 0}
    return [structural_similarity(x, y, **options) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(11, 11), (28, 28), (32, 45), (64, 64)])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_equal_to_scikit_image(channels, size, data_range) -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, data_range, (3, channels, *size))
    b = 0.7 * a + 0.3 * rng.uniform(0, data_range, a.shape)
    ours = SSIM()(torch.from_numpy(a), torch.from_numpy(b), data_range=data_range)
    np.testing.assert_allclose(ours, reference(a, b, data_range), atol=1e-10)


def test_equal_to_scikit_image_on_masks_and_grey_maps_at_299_px() -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros((2, 1, 299, 299))
    mask[:, :, 60:200, 90:230] = 1
    grey = 0.5 + 1e-3 * rng.standard_normal(
        mask.shape
    )  # variances near rounding, as in signed maps
    theirs = reference(mask, grey, 1.0)
    mask, grey = torch.from_numpy(mask), torch.from_numpy(grey)
    np.testing.assert_allclose(SSIM()(mask, grey, data_range=1.0), theirs, atol=1e-10)
    single = SSIM()(mask.float(), grey.float(), data_range=1.0)
    np.testing.assert_allclose(single, theirs, atol=1e-6)


def test_a_map_smaller_than_the_window_is_refused() -> None:
    small = torch.rand(1, 1, 10, 32)
    with pytest.raises(ConfigError, match="11 x 11 pixels at a time, the maps have 10 x 32"):
        SSIM()(small, small, data_range=1.0)


def test_maps_without_bounds_are_refused() -> None:
    maps = torch.rand(1, 1, 16, 16)
    with pytest.raises(ConfigError, match="'rms' has none"):
        SSIM()(maps, maps)
