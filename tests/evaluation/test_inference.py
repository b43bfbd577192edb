import math

import numpy as np
import pytest
from scipy import stats

from explaindebug.evaluation.inference import (
    benjamini_hochberg,
    bootstrap_interval,
    enough_flips,
    fewest_inputs,
    mean_sem,
    sign_flip_test,
    totals,
    wilson_interval,
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_mean_and_sem_equal_scipys() -> None:
    x = normal(3, 2, 40)
    mean, sem = mean_sem(x)
    np.testing.assert_allclose(mean, x.mean(-1))
    np.testing.assert_allclose(sem, stats.sem(x, axis=-1))


def test_one_value_has_a_mean_and_no_error_and_none_has_neither() -> None:
    mean, sem = mean_sem([[2.0], [3.0]])
    assert mean.tolist() == [2.0, 3.0]
    assert np.isnan(sem).all()
    assert np.isnan(mean_sem(np.empty((2, 0)))).all()


def test_bootstrap_interval_equals_scipys_percentiles() -> None:
    x = np.random.default_rng(1).exponential(size=50)
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    np.testing.assert_allclose(bootstrap_interval(x, resamples=20000), theirs, atol=0.01)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (97, 100), (200, 200), (1, 3)])
def test_interval_of_a_share_equals_scipys(hits: int, n: int) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(wilson_interval(hits / n, n), theirs, atol=1e-12)


@pytest.mark.parametrize(("n", "covered"), [(10, 0.90), (64, 0.94), (190, 0.95)])
def test_bootstrap_interval_covers_the_mean_as_often_as_stated(n, covered) -> None:
    low, high = bootstrap_interval(normal(4000, n))
    assert np.mean((low < 0) & (high > 0)) == pytest.approx(covered, abs=0.012)


def test_bootstrap_interval_of_a_column_does_not_depend_on_its_neighbours() -> None:
    x = normal(5, 30)
    low, high = bootstrap_interval(x)
    for i in range(5):
        np.testing.assert_allclose(bootstrap_interval(x[i]), (low[i], high[i]), rtol=1e-12)


def test_bootstrap_interval_of_equal_values_is_that_value_and_of_one_input_nothing() -> None:
    low, high = bootstrap_interval(np.full(20, 0.1))
    assert low == high == pytest.approx(0.1, abs=1e-16)
    assert np.isnan(bootstrap_interval([[1.0]])).all()


@pytest.mark.parametrize("n", [3, 8, 12])
def test_sign_flips_of_few_inputs_are_exact(n) -> None:
    x = normal(n) + 0.4
    theirs = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert sign_flip_test(x) == pytest.approx(theirs.pvalue)
    assert sign_flip_test(np.abs(x)) == 2.0**-n


def test_sign_flips_of_many_inputs_agree_with_the_t_test() -> None:
    x = normal(50, 100) + np.linspace(-0.1, 0.3, 50)[:, None]
    theirs = stats.ttest_1samp(x, 0, axis=1, alternative="greater").pvalue
    np.testing.assert_allclose(sign_flip_test(x), theirs, atol=0.02)


@pytest.mark.parametrize("n", [10, 64])
@pytest.mark.parametrize("draw", ["normal", "t", "mostly zero"])
def test_sign_flips_keep_their_level(n, draw) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, n)) if draw == "normal" else rng.standard_t(2, (4000, n))
    x = x * (rng.random(x.shape) < 0.2) if draw == "mostly zero" else x
    p = sign_flip_test(x)
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 3 * math.sqrt(level / 4000)


def test_sign_flips_are_the_same_every_time_and_never_zero() -> None:
    x = normal(64) + 3
    assert sign_flip_test(x) == sign_flip_test(x) == 1e-4
    assert sign_flip_test(-x) == 1.0
    assert sign_flip_test(np.zeros(64)) == 1.0


def test_rounding_does_not_part_equal_sums() -> None:
    assert sign_flip_test(np.full(10, 0.1)) == 2.0**-10
    assert sign_flip_test([0.1, 0.2, 0.3, -0.6]) == 9 / 16  # 7 pairs of unlike sums, 2 of sum 0


def test_clusters_of_one_input_change_nothing() -> None:
    x = normal(30) + 0.2
    sums, sizes = totals(x, np.arange(30))
    np.testing.assert_allclose(mean_sem(sums, sizes), mean_sem(x))
    np.testing.assert_allclose(bootstrap_interval(sums, sizes=sizes), bootstrap_interval(x))
    np.testing.assert_array_equal(sums, x)


def test_the_error_over_clusters_is_that_of_their_means_where_they_are_equal_in_size() -> None:
    x = normal(12, 5) + normal(12, 1, seed=1)
    sums, sizes = totals(x.ravel(), np.repeat(np.arange(12), 5))
    assert sizes.tolist() == [5] * 12
    np.testing.assert_allclose(mean_sem(sums, sizes), mean_sem(x.mean(1)))
    np.testing.assert_allclose(bootstrap_interval(sums, sizes=sizes), bootstrap_interval(x.mean(1)))
    assert sign_flip_test(sums) == sign_flip_test(x.mean(1))


def test_intervals_over_clusters_cover_the_mean_of_all_inputs() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, 40)
    clusters = np.repeat(np.arange(40), sizes)
    covered = [0, 0]
    for _ in range(600):
        x = np.repeat(rng.normal(0, 1, 40), sizes) + rng.normal(0, 1, len(clusters))
        sums, many = totals(x, clusters)
        for i, (low, high) in enumerate(
            (bootstrap_interval(sums, sizes=many), bootstrap_interval(x))
        ):
            covered[i] += low < 0 < high
    assert covered[0] / 600 == pytest.approx(0.93, abs=0.035)
    assert covered[1] / 600 < 0.8  # what it is for


def test_the_smallest_p_of_a_large_table_can_be_significant() -> None:
    for cells in (1, 64, 1000):
        assert 1 / (1 + enough_flips(cells)) <= 0.05 / cells


def test_adjusted_p_by_hand_and_nan_does_not_count() -> None:
    adjusted = benjamini_hochberg([[0.01, np.nan], [0.02, 0.9]])
    np.testing.assert_allclose(adjusted, [[0.03, np.nan], [0.03, 0.9]])
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert benjamini_hochberg([]).shape == (0,)


def test_fewest_inputs_are_just_enough() -> None:
    for cells in (1, 9, 64):
        n = fewest_inputs(cells)
        assert 2.0**-n <= 0.05 / cells < 2.0 ** -(n - 1)
