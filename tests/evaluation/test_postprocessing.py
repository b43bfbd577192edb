import itertools
from dataclasses import replace

import pytest
import torch

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.evaluation.postprocessing import PAPER, ROBUST, PostProcessing
from explaindebug.evaluation.similarities import SIMILARITIES


def all_options() -> list[PostProcessing]:
    signs, scales = ("signed", "abs", "positive"), ("minmax", "p99", "rms")
    found = [PostProcessing(*o) for o in itertools.product(signs, ("none", "sum"), scales)]
    return found + [PostProcessing("abs", "abs_sum", scale) for scale in scales]


def raw(seed: int = 0, n: int = 4, size: int = 20) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=all_options(), ids=str)
def post(request) -> PostProcessing:
    return request.param


def test_shape_and_range_are_as_stated(post) -> None:
    maps = post(raw())
    assert maps.shape == (4, 3 if post.channels == "none" else 1, 20, 20)
    assert maps.dtype == torch.float32
    width = maps.amax() - maps.amin()
    if post.data_range is None:
        torch.testing.assert_close(maps.square().mean((1, 2, 3)), torch.ones(4))
    else:
        assert 0.9 * post.data_range < width <= post.data_range
    assert (maps.amin() < 0) == (post.sign == "signed" and post.normalise != "minmax")


def test_an_input_does_not_see_its_batch(post) -> None:
    whole = post(raw())
    assert torch.equal(whole, torch.cat([post(one[None]) for one in raw()]))


@pytest.mark.parametrize("value", [0.0, 2.5, -2.5])
def test_a_constant_map_stays_finite_and_constant(post, value) -> None:
    maps = post(torch.full((2, 3, 20, 20), value))
    assert maps.isfinite().all()
    assert maps.amax() == maps.amin()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_bad_value_makes_its_own_map_nan(post, bad) -> None:
    maps = raw()
    maps[1, 0, 4, 4] = bad
    processed = post(maps)
    # "positive" of minus infinity is a plain zero where channels are kept apart
    hidden = post.sign == "positive" and bad == -torch.inf
    assert hidden or processed[1].isnan().all()
    assert processed[[0, 2, 3]].isfinite().all()
    assert torch.equal(processed[[0, 2, 3]], post(raw())[[0, 2, 3]])


def test_scale_of_the_raw_map_does_not_matter(post) -> None:
    torch.testing.assert_close(post(raw() * 2.0**70), post(raw()))
    torch.testing.assert_close(post(raw() * 2.0**-70), post(raw()))


def test_by_hand() -> None:
    a = torch.tensor([[3.0, -1.0], [0.0, 1.0]]), torch.tensor([[-1.0, -1.0], [0.0, 1.0]])
    pixels = torch.stack(a)[None]  # sums 2 -2 / 0 2; sums of sizes 4 2 / 0 2

    def post(*options: str) -> list[float]:
        return PostProcessing(*options)(pixels).flatten().tolist()

    assert post("signed", "sum", "minmax") == [1.0, 0.0, 0.5, 1.0]
    assert post("signed", "sum", "p99") == [1.0, -1.0, 0.0, 1.0]
    assert post("abs", "sum", "minmax") == [1.0, 1.0, 0.0, 1.0]
    assert post("positive", "sum", "p99") == [1.0, 0.0, 0.0, 1.0]
    assert post("abs", "abs_sum", "p99") == [1.0, 0.5, 0.0, 0.5]
    assert post("signed", "none", "minmax") == [1, 0, 0.25, 0.5, 0, 0, 0.25, 0.5]
    assert post("abs", "abs_sum", "rms") == pytest.approx([4 / 6**0.5, 2 / 6**0.5, 0, 2 / 6**0.5])


def test_p99_clips_one_value_in_a_hundred_and_leaves_sparse_maps_whole() -> None:
    ramp = torch.arange(1.0, 401).view(1, 1, 20, 20)
    maps = PostProcessing("abs", "sum", "p99")(ramp)
    assert (maps == 1).sum() == 5  # 396 to 400
    sparse = torch.zeros(1, 1, 20, 20)
    sparse[0, 0, 0, :2] = torch.tensor([1.0, 4.0])
    assert PostProcessing("abs", "sum", "p99")(sparse).unique().tolist() == [0.0, 0.25, 1.0]


def test_mask_before_normalisation_or_after() -> None:
    mask = torch.ones(4, 1, 20, 20, dtype=torch.bool)
    mask[:, :, 5:10] = False
    before, after = PAPER(raw(), mask), replace(PAPER, mask="after")(raw(), mask)
    assert torch.equal(before, PAPER(raw() * mask))
    assert torch.equal(after, PAPER(raw()) * mask)
    assert 0.2 < before[0, :, 5:10].mean() < 0.8  # the grey of zero
    assert (after[0, :, 5:10] == 0).all()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match=r"masks \(4, 1, 10, 10\) don't fit"):
        ROBUST(raw(), torch.ones(4, 1, 10, 10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sign": "absolute"}, "postprocessing.sign: expected one of signed, abs, positive"),
        ({"normalise": "max"}, "got 'max'"),
        ({"sign": "signed", "channels": "abs_sum"}, "Use channels='sum'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        PostProcessing(**options)


def test_another_sign_never_meets_a_reduction_that_erases_it() -> None:
    assert ROBUST.with_sign("signed") == PostProcessing("signed", "sum", "p99")
    assert PAPER.with_sign("abs") == replace(PAPER, sign="abs")


def test_why_the_papers_post_processing_is_not_the_default() -> None:
    """Unrelated maps of one object: nearly alike for the paper's SSIM, unlike for the default's."""
    place = torch.zeros(1, 1, 96, 96)
    place[..., 30:66, 25:70] = 1
    a, b = (raw(seed, 6, 96) * (0.15 + place) for seed in (0, 1))
    ssim, signed = SIMILARITIES["ssim"](), SIMILARITIES["spearman_signed"]()

    def mean(post: PostProcessing) -> float:
        return ssim(post(a), post(b), data_range=post.data_range).mean().item()

    assert mean(PAPER) > 0.6
    assert mean(PAPER) > mean(replace(PAPER, assumed_range=None)) > mean(ROBUST)
    assert mean(ROBUST) < 0.35
    view = signed.postprocessing(ROBUST)
    assert signed(view(a), view(b)).abs().max() < 0.05


def test_maps_of_lower_precision_and_with_a_graph_are_taken() -> None:
    half = raw().to(torch.bfloat16).requires_grad_()
    maps = ROBUST(half)
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    assert torch.equal(maps, ROBUST(half.detach().float()))
    assert ROBUST(raw().double()).dtype == torch.float64
