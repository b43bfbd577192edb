import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from skimage.feature import hog

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.postprocessing import PAPER
from explaindebug.evaluation.similarities import SIMILARITIES


def maps(seed: int, channels: int = 1, size: int = 24) -> torch.Tensor:
    shape = (4, channels, size, size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_pearson_equals_scipys() -> None:
    a, b = maps(0, 3), maps(0, 3) + maps(1, 3)
    theirs = [pearsonr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(SIMILARITIES["pearson"]()(a, b), theirs, atol=1e-12)


def test_scaled_error_is_two_minus_two_cosine() -> None:
    a, b = maps(0, 3), maps(0, 3) + maps(1, 3)
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1))
    torch.testing.assert_close(SIMILARITIES["cosine"]()(a, b), cosine)
    torch.testing.assert_close(SIMILARITIES["mse_rms"]()(a, b), 2 - 2 * cosine)


def test_topk_counts_shared_pixels() -> None:
    a, b = torch.arange(100.0).view(1, 1, 10, 10), torch.zeros(1, 1, 10, 10)
    b.view(-1)[[95, 99, 3, 4]] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert SIMILARITIES.build({"topk": {"fraction": 0.04}})(a, b).item() == 1 / 4  # 99; 95 is not
    assert SIMILARITIES.build({"topk": {"fraction": 0.05}})(a, b) == pytest.approx(
        (2 + 3 / 96) / 5  # the fifth place of b is shared by 96 zeros, 3 of them among a's top
    )


def test_topk_of_unrelated_maps_is_its_fraction() -> None:
    value = SIMILARITIES.build({"topk": {"fraction": 0.2}})(maps(0, size=96), maps(1, size=96))
    np.testing.assert_allclose(value, 0.2, atol=0.02)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 3])
def test_topk_wants_a_fraction(fraction) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        SIMILARITIES.build({"topk": {"fraction": fraction}})


def test_hog_is_the_rank_correlation_of_scikit_images_features() -> None:
    a, b = maps(0, 3, 64), maps(0, 3, 64) + maps(1, 3, 64)
    a, b = (x / x.abs().amax((1, 2, 3), keepdim=True) for x in (a, b))
    features = [
        [hog(np.moveaxis(x.numpy(), 0, -1), pixels_per_cell=(8, 8), channel_axis=-1) for x in y]
        for y in (a, b)
    ]
    theirs = [spearmanr(x, y).statistic for x, y in zip(*features, strict=True)]
    ours = SIMILARITIES.build({"hog": {"cell": 8}})(a, b)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_hog_needs_room() -> None:
    with pytest.raises(ConfigError, match="3 x 3 cells of 16 pixels, but maps are 24 x 24"):
        SIMILARITIES.build({"hog": {"cell": 16}})(maps(0), maps(1))


def test_background_share_by_hand() -> None:
    mask = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    candidate = torch.tensor([[-3.0, 1.0], [1.0, 0.0]]).view(1, 1, 2, 2)
    assert SIMILARITIES["background"]()(mask, candidate).item() == 3 / 5


def test_background_share_is_of_the_raw_size_whatever_the_run_does_to_maps() -> None:
    similarity = SIMILARITIES["background"]()
    raw = maps(0, 3)
    raw[0, 0, 0, 0] = 1e3  # clipping would take its weight
    mask = (maps(1) > 0).double()
    size = raw.abs().sum(1, keepdim=True)
    share = (mask * size).sum((1, 2, 3)) / size.sum((1, 2, 3))
    torch.testing.assert_close(similarity(mask, similarity.postprocessing(PAPER)(raw)), share)
