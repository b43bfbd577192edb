"""Designs: exact where they can be, consistent everywhere, and the textbook's regressions."""

from itertools import product
from math import factorial

import numpy as np
import pytest

from explaindebug.attributions._support.coalitions import (
    Floats,
    RidgeDesign,
    ShapleyDesign,
    _coalitions,
    _drawn,
)
from explaindebug.core.errors import ConfigError


class Game:
    """Values (k,) of coalitions (k, m): pairs, triples and a saturation."""

    def __init__(self, m: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.pairs, self.triples = rng.normal(size=(m, m)), rng.normal(size=(m, m, m)) / m

    def __call__(self, coalitions: Floats) -> Floats:
        z = coalitions.astype(float)
        pairs = np.einsum("ki,ij,kj->k", z, self.pairs, z)
        triples = np.einsum("ijl,ki,kj,kl->k", self.triples, z, z, z)
        return 3.0 + pairs + triples + np.tanh(z.sum(1) - 2)


def shapley(game: Game, m: int) -> Floats:
    """Shapley values by their definition, over all 2^m coalitions."""
    z = np.array(list(product([0, 1], repeat=m)))
    value = dict(zip(map(tuple, z), game(z), strict=True))
    phi = np.zeros(m)
    for s in map(tuple, z):
        weight = factorial(sum(s)) * factorial(m - sum(s) - 1) / factorial(m) if sum(s) < m else 0
        for i in (i for i in range(m) if not s[i]):
            phi[i] += weight * (value[(*s[:i], 1, *s[i + 1 :])] - value[s])
    return phi


@pytest.mark.parametrize("m", range(2, 9))
@pytest.mark.parametrize("more", [0, 100])
def test_all_coalitions_give_the_shapley_values(m: int, more: int) -> None:
    design = ShapleyDesign(2**m - 2 + more, seed=0)(m)
    assert len(design.coalitions) == 2**m
    weights = design.solver @ Game(m)(design.coalitions)
    np.testing.assert_allclose(weights, shapley(Game(m), m), atol=1e-10)


def test_sampled_coalitions_come_close_and_closer() -> None:
    m, game = 10, Game(10)
    exact = shapley(game, m)

    def error(samples: int) -> float:
        designs = [ShapleyDesign(samples, seed)(m) for seed in range(10)]
        found = [d.solver @ game(d.coalitions) for d in designs]
        return float(np.mean([np.linalg.norm(f - exact) for f in found]) / np.linalg.norm(exact))

    assert error(800) < error(200) < error(50) < 0.35
    assert error(800) < 0.03


@pytest.mark.parametrize(("m", "samples"), [(7, 40), (20, 120), (49, 300), (49, 1000), (60, 500)])
def test_weights_sum_to_the_whole_less_the_empty_coalition(m: int, samples: int) -> None:
    design = ShapleyDesign(samples, seed=1)(m)
    scores = np.random.default_rng(0).normal(size=len(design.coalitions))  # whatever the model says
    assert design.coalitions[:2].all(1).tolist() == [False, True]
    assert not design.coalitions[0].any()
    assert (design.solver @ scores).sum() == pytest.approx(scores[1] - scores[0], abs=1e-10)


@pytest.mark.parametrize(("m", "samples"), [(7, 40), (20, 120), (49, 1000)])
def test_an_additive_game_is_found_exactly(m: int, samples: int) -> None:
    worth = np.random.default_rng(1).normal(size=m)
    shap = ShapleyDesign(samples, seed=0)(m)
    np.testing.assert_allclose(shap.solver @ (shap.coalitions @ worth + 5), worth, atol=1e-9)
    lime = RidgeDesign(samples, kernel_width=0.25, alpha=0.0, seed=0)(m)
    if samples > 4 * m:
        np.testing.assert_allclose(lime.solver @ (lime.coalitions @ worth + 5), worth, atol=1e-9)


@pytest.mark.parametrize(("m", "samples"), [(9, 100), (12, 1000), (20, 300), (49, 1000)])
def test_coalitions_are_distinct_paired_and_within_the_budget(m: int, samples: int) -> None:
    z = ShapleyDesign(samples, seed=3)(m).coalitions
    rows = {row.tobytes() for row in z}
    assert len(rows) == len(z) <= samples + 2
    assert len(z) > 0.9 * min(samples, 2**m)
    assert all((~row).tobytes() in rows for row in z)


def test_the_sizes_that_weigh_most_are_enumerated() -> None:
    sizes = ShapleyDesign(2000, seed=0)(20).coalitions.sum(1)
    assert [(sizes == s).sum() for s in (0, 1, 2, 18, 19, 20)] == [1, 20, 190, 190, 20, 1]


@pytest.mark.parametrize("make", [ShapleyDesign, lambda n, s: RidgeDesign(n, 0.25, 1.0, s)])
def test_seed_and_number_of_superpixels_decide(make: type[ShapleyDesign]) -> None:
    again, other = make(200, 0)(15), make(200, 1)(15)
    np.testing.assert_array_equal(make(200, 0)(15).coalitions, again.coalitions)
    np.testing.assert_array_equal(make(200, 0)(15).solver, again.solver)
    assert other.coalitions.shape[1] == 15
    assert {r.tobytes() for r in other.coalitions} != {r.tobytes() for r in again.coalitions}


def test_ridge_is_scikit_learns_with_limes_kernel() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    pairwise = pytest.importorskip("sklearn.metrics").pairwise_distances
    design = RidgeDesign(300, kernel_width=0.3, alpha=2.0, seed=0)(12)
    z = design.coalitions.astype(float)
    assert z[0].all()
    assert 0.4 < z[1:].mean() < 0.6
    y = Game(12)(z)
    distance = pairwise(z, z[:1], metric="cosine").ravel()
    weights = np.sqrt(np.exp(-(distance**2) / 0.3**2))
    theirs = linear_model.Ridge(alpha=2.0).fit(z, y, sample_weight=weights).coef_
    np.testing.assert_allclose(design.solver @ y, theirs, atol=1e-9)


def test_ridge_is_limes_own_fit() -> None:
    lime_base = pytest.importorskip("lime.lime_base")
    design = RidgeDesign(500, kernel_width=0.25, alpha=1.0, seed=0)(10)
    z = design.coalitions.astype(float)
    y = Game(10)(z)
    fit = lime_base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=0)
    distance = 1 - np.sqrt(z.mean(1))
    pairs = fit.explain_instance_with_data(z, y[:, None], distance, 0, 100000)[1]
    theirs = [weight for _, weight in sorted(pairs)]
    np.testing.assert_allclose(design.solver @ y, theirs, atol=1e-9)


def test_kernelshap_is_shaps() -> None:
    shap = pytest.importorskip("shap")
    game, m = Game(8), 8
    explainer = shap.KernelExplainer(game, np.zeros((1, m)), silent=True)
    theirs = explainer.shap_values(np.ones((1, m)), nsamples=254, l1_reg=0, silent=True)[0]
    design = ShapleyDesign(254, seed=0)(m)
    np.testing.assert_allclose(design.solver @ game(design.coalitions), theirs, atol=1e-6)


def test_too_few_samples_are_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(ConfigError, match=r"20 samples .* 50 superpixels: .*samples=200"):
        ShapleyDesign(20, seed=0)(50)
    for seed in range(10):
        ShapleyDesign(200, seed)(50)


def test_the_weights_of_each_size_are_the_kernels_where_only_some_sizes_are_enumerated() -> None:
    m, samples = 10, 120  # all 20 coalitions of 1 and 9, the others drawn
    rows, weights = _coalitions(m, samples, np.random.default_rng(0))
    sizes = np.arange(1, m)
    mass = 1 / (sizes * (m - sizes))
    mass /= mass.sum()
    found = np.array([weights[rows.sum(1) == size].sum() for size in sizes])
    assert found[[0, -1]] == pytest.approx(mass[[0, -1]])
    assert found[1:-1].sum() == pytest.approx(mass[1:-1].sum())
    assert (found[1:-1] > 0).all()


def test_a_coalition_that_was_drawn_several_times_weighs_as_many_times_as_much() -> None:
    m, samples = 8, 200  # all 72 coalitions of 1, 2, 6 and 7; 128 draws of those of 3, 4 and 5
    _, weights = _coalitions(m, samples, np.random.default_rng(0))
    mass = np.array([0, *(1 / (size * (m - size)) for size in range(1, m))])
    mass /= mass.sum()
    _, counts = _drawn(m, mass, 2, samples - 72, np.random.default_rng(0))
    assert set(counts) >= {1, 2, 3}
    np.testing.assert_allclose(weights[72:], counts * mass[3:6].sum() / counts.sum())
