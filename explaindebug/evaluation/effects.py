"""The effect of a bug on one method's scores: how large, how sure, over inputs and over models."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t: distribution and quantiles

from explaindebug.evaluation.inference import (
    FLIPS,
    bootstrap_interval,
    mean_sem,
    sign_flip_test,
    totals,
)
from explaindebug.evaluation.pairing import Paired

PRIOR_FREEDOM = 4  # how many degrees of freedom the guess at what models differ by counts for
INTERVAL = 0.95
NAN = math.nan


class Effect(NamedTuple):
    """Mean over inputs of bug minus control, and two tests of it; NaN without any numbers."""

    size: float = NAN
    interval: tuple[float, float] = (NAN, NAN)
    p: float = NAN  # of "above the margin"
    p_absent: float = NAN  # of "below the margin"
    sem: float = NAN  # from the inputs
    between: float = NAN  # standard error from what models differ by, of `freedom` degrees
    freedom: int = PRIOR_FREEDOM
    units: int = 0  # independent inputs: clusters, where inputs come in some


def effect_of(
    arms: Paired, sign: int, margin: float, spread: float, seed: int = 0, flips: int = FLIPS
) -> Effect:
    """The effect, times `sign`, with its p; see `evaluation.verdicts` for what is tested.

    The interval is the bootstrap's over inputs; where an arm has several models, its half-widths
    are joined (root of the sum of squares) with that of a t interval for what models differ by.
    """
    if not len(arms.bug):
        return Effect()
    effects, sizes = totals(sign * (arms.bug - arms.control), arms.clusters)
    size, sem = (float(x) for x in mean_sem(effects, sizes))
    between, freedom = between_models(arms, spread)
    beyond = np.stack([effects - margin * sizes, margin * sizes - effects])
    over_inputs = sign_flip_test(beyond, flips=flips, seed=seed)
    error = math.hypot(between, 0.0 if math.isnan(sem) else sem)
    over_models = stdtr(freedom, [-size / error, (size - margin) / error])
    p, p_absent = np.maximum(over_inputs, over_models).tolist()
    ends = bootstrap_interval(effects, INTERVAL, sizes=sizes, seed=seed)
    low, high = (float(end) for end in ends)
    if freedom > PRIOR_FREEDOM:
        wide = between * float(stdtrit(freedom, (1 + INTERVAL) / 2))
        low, high = size - math.hypot(size - low, wide), size + math.hypot(high - size, wide)
    return Effect(size, (low, high), p, p_absent, sem, between, freedom, len(sizes))


def between_models(arms: Paired, spread: float) -> tuple[float, int]:
    """Standard error of an effect from what models differ by, and its degrees of freedom.

    The variance between models of one arm, moderated by the guess `spread`: both weighted by their
    degrees of freedom, so that one model in each arm leaves the guess, and many models forget it.
    Where the whole test was repeated, it is that of the repetitions' effects: what both arms of one
    share, such as their reference, is no error of the effect.

    Source: Smyth: Linear Models and Empirical Bayes Methods, 2004, section 4.
    """
    share = sum(1 / count for count in arms.models)
    samples = [arms.bug_models, arms.control_models]
    if len(arms.repeats) > 1:  # a repetition's effect has the variance spread² x share x repeats
        samples = [arms.repeats / math.sqrt(share * len(arms.repeats))]
    squares, freedom = PRIOR_FREEDOM * spread**2, PRIOR_FREEDOM
    for means in samples:
        squares += float(np.square(means - means.mean()).sum())
        freedom += len(means) - 1
    return math.sqrt(squares / freedom * share), freedom
