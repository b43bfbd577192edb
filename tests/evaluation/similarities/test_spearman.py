import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr

from explaindebug.evaluation.similarities._ranks import _packed_ranks, _sorted_ranks
from explaindebug.evaluation.similarities.spearman import ActiveSpearman, Spearman


def tied(seed: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Values with many ties, both zeros, tiny and huge ones."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape).round(1)
    values[rng.random(shape) < 0.4] = 0.0
    values[rng.random(shape) < 0.1] = -0.0
    values[rng.random(shape) < 0.01] = 1e-40
    values[rng.random(shape) < 0.01] = -3e38
    return values.astype(dtype)


@pytest.mark.parametrize("rank", [_packed_ranks, _sorted_ranks])
@pytest.mark.parametrize("p", [1, 2, 3000])
def test_ranks_equal_scipys(rank, p) -> None:
    values = tied(p, (5, p), np.float32)
    np.testing.assert_array_equal(rank(torch.from_numpy(values)), rankdata(values, axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_scipy_with_ties(dtype) -> None:
    a, b = tied(0, (4, 3, 40, 30), dtype), tied(1, (4, 3, 40, 30), dtype)
    b[1] = a[1]
    theirs = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    ours = Spearman()(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("size", [299, 384])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_to_scipy_on_masks_whose_rank_sums_overflow_32_bits(size, dtype) -> None:
    mask = torch.zeros(1, 1, size, size, dtype=dtype)
    mask[..., : size // 2] = 1
    noisy = mask + torch.rand(mask.shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    theirs = spearmanr(mask.ravel(), noisy.ravel()).statistic
    assert theirs > 0.8
    assert Spearman()(mask, noisy).item() == pytest.approx(theirs, abs=1e-12)


def test_active_pixels_are_those_that_either_map_uses() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 2, 20, 20))
    off = rng.random(a.shape) < 0.6
    a[off] = b[off] = 0.0
    a[0, 0, 0, 0] = 0.0  # active because of b
    pairs = [(x[(x != 0) | (y != 0)], y[(x != 0) | (y != 0)]) for x, y in zip(a, b, strict=True)]
    theirs = [spearmanr(x, y).statistic for x, y in pairs]
    ours = ActiveSpearman()(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_shared_zeros_raise_the_plain_one_but_not_that_of_active_pixels() -> None:
    a, b = torch.randn(2, 1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).abs()
    a[..., :48], b[..., :48] = 0, 0
    assert Spearman()(a, b) > 0.8
    assert abs(ActiveSpearman()(a, b)) < 0.1
