"""Reliance on a spurious signal: how often adding it flips the network's prediction."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explaindebug.evaluation.inference import wilson_interval

Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SpuriousScore:
    """A share of inputs with its 95 % interval (Wilson); NaN if no input can flip."""

    value: float
    low: float
    high: float
    flipped: int
    asked: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}], {self.flipped} of {self.asked}"


def spurious_score(before: Classes, after: Mapping[int, Classes]) -> SpuriousScore:
    """Share of inputs not predicted as a signal's class that are when the signal is added.

    `before` are the predictions (n,) without a signal, `after[c]` those with the signal of class c.
    Inputs that are predicted as c anyway don't count for c's signal. If several classes have a
    signal, each input counts once per class (and the interval, which treats them as independent,
    is a little narrow).

    Source: Adebayo et al. 2022, section 3: above 0.85 for their models with a spurious signal,
    below 0.1 for those without.
    """
    asked = sum(int((before != label).sum()) for label in after)
    flipped = sum(int(((before != c) & (now == c)).sum()) for c, now in after.items())
    if not asked:
        return SpuriousScore(np.nan, np.nan, np.nan, 0, 0)
    share = flipped / asked
    return SpuriousScore(share, *wilson_interval(share, asked), flipped, asked)
