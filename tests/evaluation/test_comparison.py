import numpy as np
import pytest
import torch

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.evaluation.comparison import Comparison, Reference
from explaindebug.evaluation.postprocessing import PAPER, ROBUST, PostProcessing
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.similarities import SIMILARITIES, Similarity

KEY = Key("reinit", "grad", "top 1", "bug")
ROWS = np.array([10, 3, 7, 5])


def maps(seed: int, n: int = 4) -> torch.Tensor:
    return torch.randn(n, 3, 20, 20, generator=torch.Generator().manual_seed(seed))


def scored(comparison: Comparison, key: Key = KEY, **changes) -> Scores:
    scores = Scores()
    arguments = {"reference": Reference.of_maps(maps(0)), "candidate": maps(1), "rows": ROWS}
    comparison.score(scores, key, **arguments | {"images": maps(2)} | changes)
    return scores


def test_bug_gets_nulls_and_control_does_not() -> None:
    comparison = Comparison(nulls=("gaussian", "shuffled", "other", "edges"))
    bug = scored(comparison)
    assert bug.unique("role") == ["bug", *(f"null: {name}" for name in comparison.nulls)]
    assert bug.unique("similarity") == ["ssim", "spearman"]
    control = scored(comparison, KEY._replace(role="control"))
    assert control.unique("role") == ["control"]


def test_scores_are_those_of_the_similarity_after_the_post_processing() -> None:
    for post in (ROBUST, PAPER):
        scores = scored(Comparison(postprocessing=post))
        a, b = post(maps(0)), post(maps(1))
        for name in ("ssim", "spearman"):
            direct = SIMILARITIES[name]()(a, b, data_range=post.data_range)
            rows, values = scores[KEY._replace(similarity=name)]
            np.testing.assert_array_equal(rows, np.sort(ROWS))
            np.testing.assert_array_equal(values, direct.numpy()[np.argsort(ROWS)])


@pytest.mark.parametrize("post", [PAPER, ROBUST])
def test_the_unmatched_null_is_noise_that_nobody_normalised(post: PostProcessing) -> None:
    comparison = Comparison(["ssim"], post, nulls=("gaussian", "gaussian_raw"))
    found = scored(comparison)
    draws = [np.random.default_rng((0, row)).standard_normal((3, 20, 20)) for row in np.sort(ROWS)]
    raw = torch.tensor(np.stack(draws), dtype=torch.float32)
    reference, order = post(maps(0)), np.argsort(ROWS)
    raw = raw[:, : reference.shape[1]]
    direct = SIMILARITIES["ssim"]()(reference[order], raw, data_range=post.data_range)
    key = KEY._replace(similarity="ssim")
    unmatched = found[key._replace(role="null: gaussian_raw")].values
    np.testing.assert_allclose(unmatched, direct.numpy(), atol=1e-12)
    assert abs(unmatched.mean()) < 0.02 < found[key._replace(role="null: gaussian")].values.mean()


def test_chunks_and_order_of_inputs_change_nothing() -> None:
    """All nulls but "other", which is defined on the whole probe, come out alike in pieces."""
    comparison = Comparison(
        similarities=("ssim", "spearman", "spearman_active"),
        nulls=("gaussian", "shuffled", "edges"),
    )
    n = 21
    whole, pieces, rows = Scores(), Scores(), np.random.default_rng(0).permutation(100)[:n]
    reference, candidate, images = maps(0, n), maps(1, n), maps(2, n)
    comparison.score(whole, KEY, Reference.of_maps(reference), candidate, rows, images)
    for part in (slice(17, None), slice(0, 17)):
        piece = Reference.of_maps(reference[part])
        comparison.score(pieces, KEY, piece, candidate[part], rows[part], images[part])
    assert whole == pieces


def test_the_reference_is_prepared_once_for_all_candidates(monkeypatch) -> None:
    prepared = []
    spearman = SIMILARITIES["spearman"]
    prepare = spearman.prepare

    def counting(self, of, data_range):
        prepared.append(len(of))
        return prepare(self, of, data_range)

    monkeypatch.setattr(spearman, "prepare", counting)
    comparison, reference = Comparison(similarities=("spearman",)), Reference.of_maps(maps(0))
    scores = Scores()
    for stage in range(5):
        key = KEY._replace(condition=f"top {stage}")
        comparison.score(scores, key, reference, maps(stage + 1), ROWS)
    assert len(prepared) == 1 + 5 + 1  # reference, candidates, one Gaussian null for all of them


def test_a_mask_is_taken_as_it_is_and_a_masked_map_is_masked_then_normalised() -> None:
    mask = torch.zeros(4, 1, 20, 20, dtype=torch.bool)
    mask[..., :10] = True
    comparison = Comparison(similarities=("spearman",), postprocessing=PAPER)
    gt1 = scored(comparison, reference=Reference.of_mask(mask))
    direct = SIMILARITIES["spearman"]()(mask.float().expand(-1, 3, -1, -1), PAPER(maps(1)))
    np.testing.assert_array_equal(
        gt1[KEY._replace(similarity="spearman")].values, direct.numpy()[np.argsort(ROWS)]
    )
    gt2 = scored(comparison, reference=Reference.of_masked_maps(maps(0), mask))
    direct = SIMILARITIES["spearman"]()(PAPER(maps(0) * mask), PAPER(maps(1)))
    np.testing.assert_array_equal(
        gt2[KEY._replace(similarity="spearman")].values, direct.numpy()[np.argsort(ROWS)]
    )


def test_a_map_that_is_constant_or_not_finite_has_no_score_and_is_named() -> None:
    candidate, reference = maps(1), maps(0)
    candidate[1], candidate[2, 0, 3, 3], reference[0] = 0.0, torch.inf, 1.0
    scores = Scores()
    missing = Comparison().score(scores, KEY, Reference.of_maps(reference), candidate, ROWS)
    for name in ("ssim", "spearman"):
        rows, values = scores[KEY._replace(similarity=name)]
        assert rows[np.isnan(values)].tolist() == [3, 7, 10]
    assert sorted(missing) == [
        (KEY, "the map is constant", (3,)),
        (KEY, "the map is not finite", (7,)),
        (KEY, "the reference is constant", (10,)),
    ]


def test_options_show_in_the_name_and_objects_are_taken() -> None:
    comparison = Comparison(similarities=({"spearman": {"sign": "positive"}}, "ssim"))
    assert list(comparison.measures) == ["spearman(sign=positive)", "ssim"]
    assert all(isinstance(measure, Similarity) for measure in comparison.measures.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidate": maps(1, 3)}, "don't fit 4 references of 20 x 20"),
        ({"rows": [1, 2]}, "4 maps, but rows"),
        ({"candidate": torch.randn(4, 3, 20, 21)}, "don't fit"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes, message) -> None:
    with pytest.raises(DataError, match=message):
        scored(Comparison(), **changes)


def test_unknown_names_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'gaussian'"):
        Comparison(nulls=("gausian",))
    with pytest.raises(ConfigError, match="Did you mean 'spearman'"):
        Comparison(similarities=("spearmann",))
    with pytest.raises(ConfigError, match="'rms' has no bounds"):
        Comparison(postprocessing=PostProcessing(normalise="rms"))
    with pytest.raises(ConfigError, match=r"postprocessing\.sign: expected one of"):
        Comparison(similarities=({"spearman": {"sign": "absolute"}},))
    with pytest.raises(ConfigError, match="one name with its options"):
        Comparison(similarities=({"spearman": {}, "ssim": {}},))
    with pytest.raises(ConfigError, match="made from the images"):
        scored(Comparison(nulls=("edges",)), images=None)


def test_signed_and_absolute_rank_correlation_come_from_one_run() -> None:
    raw = maps(0)
    flipped = Reference.of_maps(-raw)
    both = Comparison(similarities=("spearman_signed", "spearman_abs"), nulls=())
    for post in (ROBUST, PAPER, PostProcessing("positive", "sum", "minmax")):
        scores = Scores()
        Comparison(both.similarities, post, ()).score(scores, KEY, flipped, raw, ROWS)
        signed = scores[KEY._replace(similarity="spearman_signed")].values
        absolute = scores[KEY._replace(similarity="spearman_abs")].values
        np.testing.assert_allclose(signed, -1.0)
        np.testing.assert_allclose(absolute, 1.0)
