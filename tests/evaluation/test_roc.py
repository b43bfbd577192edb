"""ROC curves against scikit-learn, and the numbers read off them against their definitions."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, roc_auc_score, roc_curve

from explaindebug.evaluation.roc import (
    Curve,
    auroc,
    fpr_at_tpr,
    permuted_aurocs,
    precision_at_rate,
    roc,
)


def sample(n: int = 400, share: float = 0.2, gap: float = 1.0, digits: int | None = None, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    scores = rng.normal(gap * positive)
    return scores if digits is None else scores.round(digits), positive


@pytest.mark.parametrize("digits", [None, 1, 0])  # 0: many ties
def test_curve_and_area_are_scikit_learns(digits) -> None:
    scores, positive = sample(digits=digits)
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    curve = roc(scores, positive)
    assert np.allclose(curve.fpr, fpr)
    assert np.allclose(curve.tpr, tpr)
    assert auroc(curve) == pytest.approx(roc_auc_score(positive, scores))


def test_weights_are_repetitions() -> None:
    scores, positive = sample(60, digits=1)
    weights = np.random.default_rng(1).integers(0, 4, (5, 60))
    curves = roc(scores, positive, weights.astype(float))
    for row, area, fpr in zip(weights, auroc(curves), fpr_at_tpr(curves), strict=True):
        again = np.repeat(np.arange(60), row)
        one = roc(scores[again], positive[again])
        assert area == pytest.approx(float(auroc(one)))
        assert fpr == pytest.approx(float(fpr_at_tpr(one)))


def test_fpr_at_95_percent_by_its_definition() -> None:
    scores, positive = sample(1000)
    passing = [t for t in scores if (scores[positive] >= t).mean() >= 0.95]
    expected = (scores[~positive] >= max(passing)).mean()
    assert fpr_at_tpr(roc(scores, positive)) == pytest.approx(expected)


def test_precision_among_as_many_as_there_are_positives() -> None:
    scores, positive = sample()
    count = positive.sum()
    flagged = np.zeros_like(positive)
    flagged[np.argsort(-scores)[:count]] = True
    found = precision_at_rate(roc(scores, positive), count / 400)
    assert found == pytest.approx(precision_score(positive, flagged))


def test_precision_does_not_depend_on_how_many_negatives_were_looked_at() -> None:
    scores, positive = sample(200_000, share=0.1)
    kept = positive | (np.random.default_rng(1).random(len(scores)) < 0.1)
    whole, part = (precision_at_rate(roc(scores[k], positive[k]), 0.1) for k in (kept | True, kept))
    assert part == pytest.approx(float(whole), abs=0.01)


def test_perfect_useless_and_constant_scores() -> None:
    _, positive = sample()
    rate = positive.mean()
    for scores, numbers in (
        (positive * 1.0, (1, 0, 1)),
        (-1.0 * positive, (0, 1, 0)),
        (np.zeros(400), (0.5, 1, rate)),  # all tie: what is flagged is chance
    ):
        curve: Curve = roc(scores, positive)
        found = auroc(curve), fpr_at_tpr(curve), precision_at_rate(curve, rate)
        assert np.allclose(found, numbers)


def test_permuted_areas_are_those_of_permuted_labels() -> None:
    scores, positive = sample(50, digits=0)
    with_gaps = np.stack([scores, np.where(np.arange(50) % 7, scores, np.nan)])
    areas = permuted_aurocs(with_gaps, positive, 3, seed=5)
    rng = np.random.default_rng((5, 1))
    deals = rng.permuted(np.tile(positive, (3, 1)), axis=1)
    for row, column in zip(areas, with_gaps, strict=True):
        known = ~np.isnan(column)
        expected = [roc_auc_score(deal[known], column[known]) for deal in deals]
        assert row == pytest.approx(expected)


def test_permuted_areas_scatter_about_a_half_as_far_as_they_should() -> None:
    scores, positive = sample(100)
    areas = permuted_aurocs(scores[None], positive, 4000, seed=0)[0]
    m, n = positive.sum(), (~positive).sum()
    assert areas.mean() == pytest.approx(0.5, abs=0.005)
    assert areas.std() == pytest.approx(((m + n + 1) / (12 * m * n)) ** 0.5, rel=0.05)
