"""Three-valued judgements, by intervals instead of means: surely so, surely not, unknown."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

from explaindebug.core import wording
from explaindebug.report.beside import Number

Answer = Literal["holds", "does not", "can't tell here"]
HOLDS: Answer = "holds"
FAILS: Answer = "does not"
UNKNOWN: Answer = "can't tell here"
Rule = Callable[[Number], Answer]  # judges one number


def at_least(least: float) -> Rule:
    """The interval is at or above `least`: holds; below it: does not; across it: can't tell."""

    def rule(x: Number) -> Answer:
        if math.isnan(x.low) or math.isnan(x.high):
            return UNKNOWN
        return HOLDS if x.low >= least else FAILS if x.high < least else UNKNOWN

    return rule


def at_most(most: float) -> Rule:
    """The same for an interval at or below `most`."""
    above = at_least(most)
    turned: dict[Answer, Answer] = {HOLDS: FAILS, FAILS: HOLDS, UNKNOWN: UNKNOWN}
    return lambda x: HOLDS if x.high <= most else turned[above(x)]


def near_zero(most: float) -> Rule:
    """The interval is within `most` of 0: holds; entirely beyond on one side: does not."""
    return lambda x: every([at_least(-most)(x), at_most(most)(x)])


def every(answers: Iterable[Answer]) -> Answer:
    """Holds if all do, does not if one surely does not; can't tell if there are none."""
    found = list(answers)
    if FAILS in found:
        return FAILS
    return HOLDS if found and UNKNOWN not in found else UNKNOWN


def most(answers: Collection[Answer]) -> Answer:
    """Holds if more than half surely do, does not if half or more surely do not."""
    found = list(answers)
    if 2 * found.count(HOLDS) > len(found):
        return HOLDS
    return FAILS if found and 2 * found.count(FAILS) >= len(found) else UNKNOWN


def judged(numbers: Mapping[str, Number], rule: Rule) -> dict[str, Answer]:
    """The rule's answer per method."""
    return {method: rule(number) for method, number in numbers.items()}


def named(answers: Mapping[str, Answer], answer: Answer) -> list[str]:
    """The methods with this answer."""
    return [method for method, one in answers.items() if one == answer]


def counted(answers: Mapping[str, Answer]) -> str:
    """`12 of 15 methods (not Grad and LIME; open: GBP)`."""
    parts = [
        f"{word}{wording.listed(found, 16)}"
        for word, found in (
            ("not ", named(answers, FAILS)),
            ("open: ", named(answers, UNKNOWN)),
        )
        if found
    ]
    behind = f" ({'; '.join(parts)})" if parts else ""
    return f"{len(named(answers, HOLDS))} of {len(answers)} methods{behind}"


def spread(numbers: Mapping[str, Number]) -> str:
    """`0.78 (Kernel SHAP) to 0.98 (VGrad)`; a dash if there are none."""
    known = {m: x.mean for m, x in numbers.items() if not math.isnan(x.mean)}
    if not known:
        return wording.NOTHING
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return f"{wording.fine(known[low])} ({low}) to {wording.fine(known[high])} ({high})"


def with_interval(x: Number) -> str:
    """`0.83 [0.80, 0.86]`."""
    if math.isnan(x.low):
        return wording.fine(x.mean)
    digits = 2 if abs(x.mean) >= 0.1 else 3
    return f"{wording.fine(x.mean)} {wording.interval((x.low, x.high), digits)}"
