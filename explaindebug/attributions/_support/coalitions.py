"""Coalitions: which superpixels are on in each perturbed image, and how scores become weights.

Both surrogates are weighted least squares on 0/1 indicators, so their weights are a linear function
of the scores: `weights = solver @ scores`, one matrix for all images with as many superpixels.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from explaindebug.core.errors import ConfigError

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

ROUNDS = 8  # of drawing, as coalitions that are drawn twice need only one pass


class Design(NamedTuple):
    """Coalitions, and the matrix that turns their scores into one weight per superpixel."""

    coalitions: Bools  # (k, m), True where a superpixel is on
    solver: Floats  # (m, k)


class Sampler(Protocol):
    """Draws and solves the design for m superpixels; hashable."""

    @property
    def samples(self) -> int:
        """The number of perturbed images, at most two more."""

    def __hash__(self) -> int: ...

    def __call__(self, m: int, /) -> Design: ...


@dataclass(frozen=True)
class RidgeDesign:
    """Coin flips, weighted by proximity to the whole image, for ridge regression.

    The first row has all superpixels on. A row z weighs sqrt(exp(-d² / kernel_width²)) with the
    cosine distance d = 1 - sqrt(|z| / m); the penalty `alpha` spares the intercept.
    """

    samples: int
    kernel_width: float
    alpha: float
    seed: int

    def __call__(self, m: int) -> Design:
        z = np.random.default_rng((self.seed, m)).random((self.samples, m)) < 0.5
        z[0] = True
        w = np.exp(-((1 - np.sqrt(z.mean(1))) ** 2) / self.kernel_width**2 / 2)
        centred = z - w @ z / w.sum()  # the intercept, eliminated
        weighted = centred.T * w
        return Design(z, np.linalg.solve(weighted @ centred + self.alpha * np.eye(m), weighted))


@dataclass(frozen=True)
class ShapleyDesign:
    """Coalitions weighted by the Shapley kernel; the surrogate's weights sum to F(x) - F(off).

    The smallest and largest coalitions weigh most, so these sizes are enumerated as far as
    `samples` allows; other sizes get random coalitions, each with its complement. With 2^m - 2
    samples or more all coalitions are included and the weights are the Shapley values. Rows 0 and 1
    are the empty and the full coalition.
    """

    samples: int
    seed: int

    def __call__(self, m: int) -> Design:
        z, w = _coalitions(m, self.samples, np.random.default_rng((self.seed, m)))
        weighted = z.T * w
        normal = weighted @ z
        if np.linalg.matrix_rank(normal, hermitian=True) < m:
            raise ConfigError(
                f"{self.samples} samples don't determine the weights of {m} superpixels: "
                f"use samples={4 * m} or more, or fewer superpixels."
            )
        free = np.linalg.solve(normal, weighted)  # (m, k), without the constraint
        step = np.linalg.solve(normal, np.ones(m))
        step /= step.sum()  # moves the sum of the weights by one, at the least loss
        bound = free - np.outer(step, free.sum(0))
        none = -bound.sum(1) - step
        ends = np.stack([np.zeros(m, bool), np.ones(m, bool)])
        return Design(np.vstack([ends, z]), np.column_stack([none, step, bound]))


def _coalitions(m: int, samples: int, rng: np.random.Generator) -> tuple[Bools, Floats]:
    """Coalitions (k, m), neither empty nor full, and their weights (k,), which sum to 1."""
    sizes = np.arange(1, m)
    mass = 1 / (sizes * (m - sizes))  # the kernel, summed over all coalitions of a size
    mass = np.concatenate([[0.0], mass / mass.sum()])
    full, left = _enumerable(m, samples, mass)
    rows, weights = [np.empty((0, m), bool)], [np.empty(0)]
    for size in {s for low in range(1, full + 1) for s in (low, m - low)}:
        rows.append(_all_of_size(m, size))
        weights.append(np.full(comb(m, size), mass[size] / comb(m, size)))
    rest = mass[full + 1 : m - full].sum()
    if left >= 2 and rest > 0:
        drawn, counts = _drawn(m, mass, full, left, rng)
        rows.append(drawn)
        weights.append(rest * counts / counts.sum())
    w = np.concatenate(weights)
    return np.vstack(rows), w / w.sum()


def _enumerable(m: int, samples: int, mass: Floats) -> tuple[int, int]:
    """(s, samples left): coalitions of up to s, and of m - s or more, superpixels are enumerated.

    A size is enumerated if its share of the remaining samples covers it.
    """
    if 2**m - 2 <= samples:
        return m // 2, 0
    for low in range(1, m // 2 + 1):
        pair = list({low, m - low})
        subsets, share = comb(m, low) * len(pair), mass[pair].sum() / mass[low : m - low + 1].sum()
        if samples * share < subsets:
            return low - 1, samples
        samples -= subsets
    return m // 2, samples


def _all_of_size(m: int, size: int) -> Bools:
    members = np.array(list(combinations(range(m), size)))
    rows = np.zeros((len(members), m), bool)
    np.put_along_axis(rows, members, True, axis=1)
    return rows


def _drawn(
    m: int, mass: Floats, full: int, left: int, rng: np.random.Generator
) -> tuple[Bools, Counts]:
    """Up to `left` distinct random coalitions and complements, and how often each was drawn."""
    drawn, counts = np.empty((0, m), bool), np.empty(0, np.int64)
    for _ in range(ROUNDS):
        if left - len(drawn) < 2:
            break
        again = _pairs(m, mass, full, (left - len(drawn)) // 2, rng)
        rows = np.vstack([np.repeat(drawn, counts, axis=0), again])
        drawn, counts = np.unique(rows, axis=0, return_counts=True)
    return drawn, counts


def _pairs(m: int, mass: Floats, full: int, pairs: int, rng: np.random.Generator) -> Bools:
    """Random coalitions and their complements (2 * pairs, m); sizes at even quantiles."""
    sizes = np.arange(full + 1, m // 2 + 1)
    chance = mass[sizes] * np.where(2 * sizes == m, 1, 2)
    quantiles = (np.arange(pairs) + rng.random()) / pairs
    size = sizes[np.searchsorted(np.cumsum(chance)[:-1] / chance.sum(), quantiles)]
    rows = rng.random((pairs, m)).argsort(1).argsort(1) < size[:, None]
    return np.vstack([rows, ~rows])
