"""ROC curves of many samples at once, and metrics computed from them.

Scores are higher for the examples to be found (the positives). All metrics are functions of the
curve (false positive rate, true positive rate), so a bootstrap resamples curves only once.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Curve(NamedTuple):
    """Rates (..., g + 1), from 0 to 1, as the threshold falls past the g distinct scores."""

    fpr: Floats
    tpr: Floats


def roc(scores: Floats, positive: Bools, weights: Floats | None = None) -> Curve:
    """The curve of scores (n,); with weights (..., n), one curve per row of weights.

    Examples with equal scores pass the threshold together, so their order does not matter.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)  # last of equal scores
    weights = np.ones(len(scores)) if weights is None else weights
    return Curve(*(_rate((weights * group)[..., order], ends) for group in (~positive, positive)))


def auroc(curve: Curve) -> Floats:
    """Areas (...) below the curves: how often a positive scores higher; a tie counts half."""
    return np.asarray(np.trapezoid(curve.tpr, curve.fpr, axis=-1))


def fpr_at_tpr(curve: Curve, tpr: float = 0.95) -> Floats:
    """Shares (...) of negatives above the highest threshold that reaches this true positive rate.

    Source: Hendrycks, Gimpel 2017 and Liang, Li, Srikant (ODIN) 2018, who call it FPR95.
    """
    first = np.argmax(curve.tpr >= tpr - 1e-9, axis=-1)
    return np.take_along_axis(curve.fpr, first[..., None], -1)[..., 0]


def precision_at_rate(curve: Curve, rate: float) -> Floats:
    """Shares (...) of positives among the `rate` highest scores, if `rate` of all are positive.

    The R-precision: of as many examples as there are positives, precision and recall are equal.
    The sample may contain another share of positives, as the curve does not depend on it. Of equal
    scores at the threshold, a part is taken at random.
    """
    flagged = rate * curve.tpr + (1 - rate) * curve.fpr
    after = np.argmax(flagged >= rate - 1e-12, axis=-1)[..., None]
    low, high = (np.take_along_axis(flagged, at, -1)[..., 0] for at in (after - 1, after))
    less, more = (np.take_along_axis(curve.tpr, at, -1)[..., 0] for at in (after - 1, after))
    return np.asarray(less + (rate - low) / (high - low) * (more - less))


def permuted_aurocs(scores: Floats, positive: Bools, permutations: int, seed: int) -> Floats:
    """AUROCs (d, permutations) of scores (d, n) under permuted labels, the same for all scores.

    NaN scores are left out. A permutation that leaves one class without scores gives 0.5.
    """
    rng = np.random.default_rng((seed, 1))
    labels = rng.permuted(np.tile(positive, (permutations, 1)), axis=1).T.astype(np.float64)
    known = ~np.isnan(scores)
    ranks = np.where(known, rankdata(scores, axis=1, nan_policy="omit"), 0.0)
    ones = known @ labels
    pairs = ones * (known.sum(1, keepdims=True) - ones)
    above = ranks @ labels - ones * (ones + 1) / 2
    return np.where(pairs > 0, above / np.maximum(pairs, 1), 0.5)


def _rate(weights: Floats, ends: npt.NDArray[np.intp]) -> Floats:
    passed = np.cumsum(weights, axis=-1)[..., ends]
    start = np.zeros((*passed.shape[:-1], 1))
    return np.concatenate([start, passed], axis=-1) / passed[..., -1:]
