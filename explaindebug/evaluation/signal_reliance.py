"""Does the network rely on the signal at all? How often adding it flips the prediction."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explaindebug.evaluation.inference import wilson_interval

Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SpuriousScore:
    """A share of inputs with its 95 % interval (Wilson); NaN where no input can answer."""

    value: float
    low: float
    high: float
    flipped: int
    asked: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}], {self.flipped} of {self.asked}"


def spurious_score(before: Classes, after: Mapping[int, Classes]) -> SpuriousScore:
    """Of inputs that are not called by a signal's class, how many are with the signal.

    `before` are the predictions (n,) without a signal, `after[c]` those with the signal of class c.
    Inputs that are called c anyway say nothing of c's signal. Where several classes have a signal,
    each input is asked once for each (and the interval, which takes them for independent, is a
    little narrow).

    Source: Adebayo et al. 2022, section 3: above 0.85 for their models with a spurious signal,
    below 0.1 for those without.
    """
    asked = sum(int((before != label).sum()) for label in after)
    flipped = sum(int(((before != c) & (then == c)).sum()) for c, then in after.items())
    if not asked:
        return SpuriousScore(np.nan, np.nan, np.nan, 0, 0)
    share = flipped / asked
    return SpuriousScore(share, *wilson_interval(share, asked), flipped, asked)
