import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.similarities.ssim import SSIM


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


def flat(level: float, n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    return level + 1e-3 * rng.random((n, 1, size, size))


def pairs(size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Maps in [0, 1] whose windows vary little around large values, and others."""
    rng = np.random.default_rng(3)
    shape = (3, 1, size, size)
    noise = [rng.random(shape) for _ in range(4)]
    bright, half = np.ones(shape), np.zeros(shape)
    bright[..., 0, 0] = 0
    half[..., size // 2 :] = 1
    x = np.linspace(0, 3, size)
    smooth = np.broadcast_to((1 + np.sin(x)[:, None] * np.cos(2 * x)) / 2, shape)
    return {
        "bright": (flat(0.999, 3, size, rng), flat(0.999, 3, size, rng)),
        "grey": (flat(0.5, 3, size, rng), flat(0.7, 3, size, rng)),
        "grey and noise": (flat(0.5, 3, size, rng), noise[0]),
        "bright but for a pixel": (bright, bright * flat(0.999, 3, size, rng)),
        "half": (half * 0.999 + flat(0, 3, size, rng), half * 0.99 + flat(0, 3, size, rng)),
        "half and noise": (half, noise[0]),
        "constant": (np.full(shape, 0.7), np.full(shape, 0.3)),
        "nearly equal": (np.full(shape, 0.7), np.full(shape, 0.7 + 1e-7)),
        "smooth": (smooth, smooth[..., ::-1].copy()),
        "sparse": (noise[0] ** 20, noise[1] ** 20),
        "noise": (noise[2], noise[3]),
    }


@pytest.mark.parametrize("size", [30, 64, 120])
@pytest.mark.parametrize("kind", pairs(30))
def test_single_precision_is_as_good_where_maps_are_nearly_flat(kind: str, size: int) -> None:
    a, b = (x.astype(np.float32) for x in pairs(size)[kind])
    theirs = reference(a.astype(np.float64), b.astype(np.float64), 1.0)
    ours = SSIM()(torch.from_numpy(a), torch.from_numpy(b), data_range=1.0).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)
    assert ours.max() <= 1 + 1e-7


def test_single_precision_does_not_depend_on_neighbours() -> None:
    a, b = (
        torch.from_numpy(np.concatenate(x)).float() for x in zip(*pairs(40).values(), strict=True)
    )
    whole = SSIM()(a, b, data_range=1.0)
    alone = [SSIM()(x[None], y[None], data_range=1.0) for x, y in zip(a, b, strict=True)]
    assert torch.equal(whole, torch.cat(alone))


def test_a_map_smaller_than_the_window_is_refused() -> None:
    small = torch.rand(1, 1, 10, 32)
    with pytest.raises(ConfigError, match="11 x 11 pixels, but they are 10 x 32"):
        SSIM()(small, small, data_range=1.0)


def test_maps_without_bounds_are_refused() -> None:
    maps = torch.rand(1, 1, 16, 16)
    with pytest.raises(ConfigError, match="'rms' has no bounds"):
        SSIM()(maps, maps)
