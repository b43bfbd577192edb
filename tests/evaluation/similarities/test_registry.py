"""What holds for every similarity; a new one is tested by being registered."""

import pytest
import torch

from explaindebug.evaluation.postprocessing import PAPER, ROBUST
from explaindebug.evaluation.similarities import SIMILARITIES, Similarity, family

NAMES = SIMILARITIES.names


def maps(seed: int, n: int = 5) -> torch.Tensor:
    return torch.rand(n, 2, 24, 30, generator=torch.Generator().manual_seed(seed))


def pair(similarity: Similarity, n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """A reference that the similarity takes, and candidates."""
    reference = maps(0, n)
    return (reference if similarity.symmetric else (reference > 0.5).float()), maps(1, n)


@pytest.fixture(params=NAMES)
def similarity(request) -> Similarity:
    return SIMILARITIES.build(request.param)


def test_none_is_lost() -> None:
    wanted = (
        "ssim spearman spearman_signed spearman_abs spearman_active pearson cosine mse_rms topk"
    )
    assert set(wanted.split()) | {"hog", "background"} <= set(NAMES)


def test_one_float64_number_per_input_within_the_stated_range(similarity) -> None:
    values = similarity(*pair(similarity), data_range=1.0)
    assert values.shape == (5,)
    assert values.dtype == torch.float64
    assert ((values >= similarity.lowest) & (values <= similarity.highest)).all()
    assert similarity.identical in (similarity.lowest, similarity.highest)


def test_identical_maps_have_the_stated_value(similarity) -> None:
    reference, _ = pair(similarity)
    values = similarity(reference, reference, data_range=1.0)
    torch.testing.assert_close(values, torch.full_like(values, similarity.identical))


def test_unlike_maps_are_further_from_it_the_unliker_they_are(similarity) -> None:
    reference, candidate = pair(similarity)
    mixed = 0.7 * reference + 0.3 * candidate
    far, near = (
        (similarity(reference, other, data_range=1.0) - similarity.identical).abs()
        for other in (candidate, mixed)
    )
    assert (far > near).all()


def test_symmetric_unless_stated(similarity) -> None:
    a, b = pair(similarity)
    if similarity.symmetric:
        there, back = similarity(a, b, data_range=1.0), similarity(b, a, data_range=1.0)
        torch.testing.assert_close(there, back, rtol=0, atol=1e-12)
    else:
        with pytest.raises(ValueError, match="mask"):
            similarity(b, a, data_range=1.0)


def test_an_input_does_not_see_its_batch(similarity) -> None:
    a, b = pair(similarity, 19)
    whole = similarity(a, b, data_range=1.0)
    alone = [similarity(a[i : i + 1], b[i : i + 1], data_range=1.0)[0] for i in range(19)]
    assert torch.equal(whole, torch.stack(alone))


def test_a_nan_stays_with_its_input(similarity) -> None:
    a, b = pair(similarity)
    clean = similarity(a, b, data_range=1.0)
    b[2, 1, 20, 3] = torch.nan
    values = similarity(a, b, data_range=1.0)
    assert values.isnan().tolist() == [False, False, True, False, False]
    keep = [0, 1, 3, 4]
    assert torch.equal(values[keep], clean[keep])


@pytest.mark.parametrize("run", [ROBUST, PAPER])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_constant_map_gives_a_number_in_range_or_nan_never_an_error(
    similarity, run, shift
) -> None:
    view = similarity.postprocessing(run)
    raw = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    raw[0] = shift
    mask = (raw[:, :1] > 0).float().roll(1, 0)
    candidate = view(raw)
    reference = view(raw.roll(1, 0)) if similarity.symmetric else mask.expand_as(candidate)
    value = similarity(reference, candidate, data_range=1.0)[0]
    assert value.isnan() or similarity.lowest <= value <= similarity.highest


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("ssim", "background")])
def test_scale_does_not_matter(name) -> None:
    similarity = SIMILARITIES.build(name)
    a, b = pair(similarity)
    once, scaled = similarity(a, b), similarity(a * 1e-30, b * 1e30)
    torch.testing.assert_close(scaled, once, rtol=0, atol=1e-5)


def test_shapes_must_fit(similarity) -> None:
    with pytest.raises(ValueError, match="of one shape"):
        similarity(maps(0, 2), maps(0, 3), data_range=1.0)


def test_variants_know_their_family() -> None:
    families = {name: family(name) for name in SIMILARITIES}
    variants = {name for name, of in families.items() if of != name}
    assert variants == {"spearman_signed", "spearman_abs", "spearman_active"}
    assert {families[name] for name in variants} == {"spearman"}
    assert family("topk(fraction=0.2)") == "topk"
    assert family("of my own(k=1)") == "of my own"
