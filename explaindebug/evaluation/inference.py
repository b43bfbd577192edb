"""Means, intervals and tests over inputs, for many columns of scores at once, in float64.

Values are (..., n): the last axis holds the n inputs, which are what is drawn at random; every
other axis is just many such samples. No value may be NaN: leave inputs out before, and say so.

Where inputs come in clusters (of one class, from one photograph), clusters are what is drawn at
random. Values are then their totals, and `sizes` (n,) how many inputs each has: see `totals`.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, false_discovery_control  # type: ignore[attr-defined]

Floats = npt.NDArray[np.float64]
RESAMPLES = 2000
FLIPS = 9999
EXACT = 12  # up to this many inputs all 2^n sign patterns are tried


def totals(values: npt.ArrayLike, clusters: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Sums (k,) of values (n,) over each of k clusters, and how many inputs each has (k,)."""
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(which, np.asarray(values, np.float64))
    return np.asarray(sums, np.float64), np.bincount(which).astype(np.float64)


def mean_sem(values: npt.ArrayLike, sizes: npt.ArrayLike = 1) -> tuple[Floats, Floats]:
    """Means (...) and their standard errors (...): sample standard deviation over root n.

    Of clusters, the mean over all inputs, and the error of a ratio of totals (Cochran 1977, chapter
    2). NaN where there are too few values for one (no value; one value has a mean and no error).
    """
    x = np.asarray(values, np.float64)
    n = x.shape[-1]
    nothing = np.full(x.shape[:-1], np.nan)
    if not n:
        return nothing, nothing
    own = np.broadcast_to(np.asarray(sizes, np.float64), (n,))
    mean = np.asarray(x.sum(-1) / own.sum())
    spread = np.square(x - mean[..., None] * own).sum(-1)
    sem = np.sqrt(spread * n / (n - 1)) / own.sum() if n > 1 else nothing
    return mean, np.asarray(sem, np.float64)


def bootstrap_interval(
    values: npt.ArrayLike,
    level: float = 0.95,
    *,
    sizes: npt.ArrayLike = 1,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Ends (...), (...) of the interval that holds the mean with probability `level`.

    Percentiles of the means of resampled inputs, or clusters. All columns share the resamples, so
    that one product of matrices makes them all. A little narrow for few inputs (see the tests: with
    10 it covers the mean in 0.90 instead of 0.95 of the cases). NaN below two.

    Source: Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.
    """
    x = np.asarray(values, np.float64)
    n = x.shape[-1]
    if n < 2:
        return np.full(x.shape[:-1], np.nan), np.full(x.shape[:-1], np.nan)
    weights = _resamples(n, resamples, seed)
    own = np.broadcast_to(np.asarray(sizes, np.float64), (n,))
    centre = x.sum(-1, keepdims=True) / own.sum()  # equal values come out as exactly themselves
    means = (x - centre * own) @ weights.T / (weights @ own)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return centre[..., 0] + low, centre[..., 0] + high


def wilson_interval(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Ends of the interval that holds a probability, `share` of n tries having come out.

    Unlike mean ± error it stays within [0, 1] and is of some width where all or none came out.

    Source: Wilson: Probable inference, 1927.
    """
    ends = binomtest(round(share * n), n).proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)


def sign_flip_test(values: npt.ArrayLike, *, flips: int = FLIPS, seed: int = 0) -> Floats:
    """One-sided p (...) of means of `values` (..., n) this large, were each sign a fair coin's.

    Small where the mean is above 0: the share of sign patterns that give a mean at least
    as large: of all 2^n patterns up to 12 inputs, else of `flips` random ones and the one that was
    seen, (1 + k) / (1 + flips), which is never 0 and keeps its level exactly. It assumes that
    without an effect values are symmetric about 0, as differences of exchangeable arms are; it
    needs no normal distribution. Totals of clusters are flipped as one. All columns share the
    patterns. NaN for no values.

    Source: Fisher: The Design of Experiments, 1935, section 21; Phipson, Smyth: Permutation
    p-values should never be zero, 2010.
    """
    x = np.asarray(values, np.float64)
    n = x.shape[-1]
    if n == 0:
        return np.full(x.shape[:-1], np.nan)
    patterns = _patterns(n, flips, seed)
    seen = x.sum(-1, keepdims=True)
    slack = 1e-12 * np.abs(x).sum(-1, keepdims=True)  # rounding must not part equal sums
    reached = (x @ patterns >= seen - slack).sum(-1)
    if n <= EXACT:
        return np.asarray(reached / 2**n)
    return np.asarray((1 + reached) / (1 + flips))


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Adjusted p (...): calling those below q significant makes q of these calls false on average.

    NaN stands for a test that could not be made; it stays NaN and does not count.

    Source: Benjamini, Hochberg: Controlling the False Discovery Rate, 1995 (scipy's code).
    """
    given = np.asarray(p, np.float64)
    adjusted = np.full(given.shape, np.nan)
    made = ~np.isnan(given)
    if made.any():
        adjusted[made] = false_discovery_control(given[made])
    return adjusted


def fewest_inputs(cells: int, level: float = 0.05) -> int:
    """How many inputs a sign-flip test needs to be significant at all as the only one of `cells`.

    n inputs can't give a p below 2^-n, and the smallest of many must be below level / cells.
    """
    return int(np.ceil(np.log2(max(1, cells) / level)))


def enough_flips(cells: int, level: float = 0.05) -> int:
    """How many random patterns let the smallest p of `cells` tests be significant."""
    return max(FLIPS, int(np.ceil(2 * max(1, cells) / level)))


@lru_cache(maxsize=8)
def _resamples(n: int, resamples: int, seed: int) -> Floats:
    """Weights (resamples, n) of n inputs drawn with replacement, in sum 1."""
    rng = np.random.default_rng((seed, n))
    return np.asarray(rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n, np.float64)


@lru_cache(maxsize=8)
def _patterns(n: int, flips: int, seed: int) -> Floats:
    """Sign patterns (n, m) of +1 and -1: all 2^n where n is small, else random ones."""
    if n <= EXACT:
        bits = np.arange(2**n) >> np.arange(n)[:, None] & 1
    else:
        bits = np.random.default_rng((seed, n)).integers(0, 2, (n, flips), dtype=np.int8)
    return np.asarray(2.0 * bits - 1.0, np.float64)
