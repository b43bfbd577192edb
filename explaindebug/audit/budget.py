"""Keep a measurement within a budget of seconds, by leaving out inputs, then methods."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch

from explaindebug.attributions._engine.plan import Plan
from explaindebug.core.forecast import Cost, duration, timed
from explaindebug.core.wording import listed
from explaindebug.debugtests.base import Arms, DebugTest
from explaindebug.debugtests.probe import Probe
from explaindebug.debugtests.run import Options, measured

FEWEST = 16  # inputs; where a budget allows fewer, methods are left out first


class Affordable(NamedTuple):
    """What fits into a budget."""

    plan: Plan
    inputs: int
    said: list[str]  # what is left out, a sentence each; empty if everything fits


def affordable(
    left: Callable[[], float],
    test: DebugTest,
    arms: Arms,
    probe: Probe,
    options: Options,
    extra: int = 0,
) -> Affordable:
    """The methods and the number of inputs for which the seconds that are `left` suffice.

    A few inputs are measured to tell, which takes time as well. `extra` inputs will be measured
    once more, for drawing. One method and one input remain in any case.
    """
    silent = replace(options, progress=None, pictures=0)

    def cost(plan: Plan) -> Cost:
        own = replace(silent, plan=plan)
        return timed(lambda k: measured(test, arms, probe.select(slice(k)), own), len(probe.image))

    return fitted(left, options.plan, len(probe.image), cost, extra)


def fitted(
    left: Callable[[], float],
    plan: Plan,
    inputs: int,
    cost: Callable[[Plan], Cost],
    extra: int = 0,
) -> Affordable:
    """The same, with a forecast for each choice of methods."""
    names, left_out = plan.labels, list[str]()
    forecast = cost(plan)
    whole = forecast.seconds(inputs + extra)
    while (fit := _inputs(forecast, left(), inputs, extra)) < min(FEWEST, inputs):
        if len(plan.methods) == 1:
            break
        last = list(plan.methods)[-1]
        left_out.insert(0, names[last])
        plan = plan.without([last])
        forecast = cost(plan)
    cut = [f"without {listed(left_out)}"] * bool(left_out)
    cut += [f"on {fit} of {inputs} inputs"] * (fit < inputs)
    said = (
        f"{len(names)} methods on {inputs} inputs would take about {duration(whole)}, which is "
        f"more than the budget has left: measured {' and '.join(cut)}."
    )
    return Affordable(plan, fit, [said] * bool(cut))


def _inputs(forecast: Cost, seconds: float, inputs: int, extra: int) -> int:
    """How many inputs can be measured, and up to `extra` of these once more."""
    total = forecast.inputs(seconds)
    return max(1, min(inputs, max(total - extra, total // 2)))


def spread(rows: torch.Tensor, count: int) -> torch.Tensor:
    """`count` of the rows (n,), evenly, as inputs often come class by class."""
    return rows[torch.linspace(0, len(rows) - 1, count).round().long().to(rows.device)]
