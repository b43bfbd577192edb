"""Sample size for a claim: how many inputs, or networks with other seeds, would be needed."""

import math
from collections.abc import Iterator

from scipy.special import ndtri, stdtrit  # quantiles of the normal and of Student's t distribution

from explaindebug.evaluation.effects import PRIOR_FREEDOM, Effect

MOST_INPUTS, MOST_NETWORKS = 5000, 20


def needed(effect: Effect, margin: float, models: tuple[int, int], level: float) -> str:
    """The inputs and networks needed to claim an effect of this size, as a clause; may be empty.

    The claim is the one on whose side of the margin the effect lies. With the observed variation
    over inputs and models, its p would be `level`, which the smallest p of the table needs: a
    rough, conservative number for planning.
    """
    gap = abs(effect.size - margin)
    deviation = effect.sem * math.sqrt(effect.units)  # of one input's effect
    if not gap * math.sqrt(MOST_INPUTS) > -ndtri(level) * deviation:
        return "the effect is too close to the margin for any realistic number of inputs"
    least = (ndtri(level) * deviation / gap) ** 2
    distance = effect.size if effect.size > margin else gap
    for networks, between, freedom in _networks(effect, models):
        most = (distance / stdtrit(freedom, level)) ** 2  # variance under which p is `level`
        room = most - between**2
        inputs = max(least, deviation**2 / room) if room > most / 5 else math.inf
        if inputs <= 2 * max(least, effect.units):
            return _sentence(math.ceil(inputs), effect.units, networks, models)
    return ""


def _networks(effect: Effect, models: tuple[int, int]) -> Iterator[tuple[int, float, int]]:
    """Numbers of networks per arm, with the standard error between models and its freedom."""
    yield min(models), effect.between, effect.freedom
    if not effect.between:  # both arms have the same network, and more of them would not help
        return
    spread = effect.between / math.sqrt(1 / models[0] + 1 / models[1])
    for k in range(min(models) + 1, MOST_NETWORKS + 1):
        yield k, spread * math.sqrt(2 / k), PRIOR_FREEDOM + 2 * (k - 1)


def _sentence(inputs: int, units: int, networks: int, models: tuple[int, int]) -> str:
    more = [f"about {inputs} inputs"] if inputs > units else []
    if networks > min(models):
        more.append(f"{networks} networks with other seeds in each arm")
    return f"{' and '.join(more)} would be needed" if more else ""
