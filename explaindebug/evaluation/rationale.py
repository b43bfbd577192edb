"""What a verdict rests on, and why none can be given: a sentence each."""

from explaindebug.core.wording import num
from explaindebug.evaluation.effects import Effect
from explaindebug.evaluation.pairing import Paired
from explaindebug.evaluation.power import needed
from explaindebug.evaluation.results import TestResult, Verdict


def trouble(result: TestResult, arms: Paired, units: int, least: int) -> str:
    """Why no claim can be made, a sentence; empty where one can."""
    for gate in result.gates:
        if not gate.passed:
            return (
                f"The test is void: {gate.name} is {num(gate.value)}, at least {num(gate.least)} "
                f"is needed ({gate.meaning.rstrip('.')})."
            )
    if arms.trouble:
        return arms.trouble
    n, missing = len(arms.bug), arms.missing
    if n < missing:
        return f"{missing} of {n + missing} inputs have no number: too many to leave out."
    if n < least:
        return f"Too few inputs: {n} with a number in both arms, this table needs {least}."
    if units < least:
        return (
            f"Too few clusters: the {n} inputs come in {units}, and this table needs {least}, as "
            "inputs of one cluster count as one. Use clusters of fewer inputs, or more of them."
        )
    return ""


def reason_of(v: Verdict, effect: Effect, strictest: float) -> str:
    """What the verdict rests on, a sentence; `strictest` is what the table's smallest p needs."""
    left_out = f" ({v.missing} more have no number)" if v.missing else ""
    left_out = f" in {v.units} clusters{left_out}" if v.units < v.n else left_out
    plus = "+" if v.effect >= 0 else ""
    said = (
        f"{v.similarity} ({v.condition}) {num(v.bug)} with the bug, {num(v.control)} without: "
        f"effect {plus}{num(v.effect)} [{num(v.low)}, {num(v.high)}], {v.n} inputs{left_out}"
    )
    if v.answer == "shows":
        return f"{said}."
    if v.answer == "doesn't":
        return f"{said}; less than {num(v.margin)}."
    need = needed(effect, v.margin, v.models, strictest)
    need = f"; {need}." if need else "."
    if v.effect > v.margin:
        return f"{said}; {_doubt(v, effect)}{need}"
    return f"{said}; not surely below {num(v.margin)}, the least that counts{need}"


def _doubt(v: Verdict, effect: Effect) -> str:
    """Which of the two tests leaves a positive effect open: that over inputs, or over models."""
    if effect.sem > effect.between:
        return f"not surely above {num(v.margin)}, the least that counts"
    return "models without the bug may differ by as much"
