"""The results in words: shared by the console and the report."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from explaindebug.core.wording import NO_BREAK, listed, num
from explaindebug.evaluation.results import RunResult, TestResult, Verdict

STATISTICS = {"msp": "max softmax", "zeros": "zero share", "gini": "Gini index"}
MEASURES = {
    "ssim": "SSIM",
    "spearman": "rank correlation",
    "background": "share of the map on the background",
}
Table = Mapping[tuple[str, str], Verdict]  # (test, method) -> verdict


def by_cell(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], Verdict]:
    """The verdicts by (test, method)."""
    return {(v.test, v.method): v for v in verdicts}


def statistic(name: str) -> str:
    """Display name of the number that a detector uses."""
    return STATISTICS.get(name, name)


def measure(similarity: str) -> str:
    """Axis label of a similarity; names with options are unchanged."""
    return MEASURES.get(similarity, similarity)


def answer(result: RunResult, verdicts: Sequence[Verdict]) -> str:
    """The run's result in one sentence: which methods show how many of the bugs."""
    judged = [test for test in result.tests if not test.void]
    # If there are tests of methods, the sentence is about these.
    judged = [test for test in judged if not test.rows] or judged
    if not judged:
        return "Nothing can be said: every test is void." if result.tests else "No test was run."
    names = {test.name for test in judged}
    methods = {m: label for test in judged for m, label in test.lines(result.methods).items()}
    own = [v for v in verdicts if v.test in names and v.method in methods]
    counts = {m: sum(v.method == m and v.answer == "shows" for v in own) for m in methods}
    best = max(counts.values(), default=0)
    winners = [methods[m] for m, count in counts.items() if count == best]
    if best == 0:
        return _nothing(judged, len(counts), all(v.answer == "doesn't" for v in own))
    if len(judged) == 1:
        return _one_test(judged[0].title, winners, len(counts))
    alone = len(winners) == 1
    bugs = "bugs that could be judged" if len(judged) < len(result.tests) else "bugs"
    if best == len(judged):
        every = "both" if best == 2 else f"all {best}"
        return f"{listed(winners)} {'shows' if alone else 'show'} {every} {bugs}."
    closest = f"{listed(winners)} {'comes' if alone else 'come'} closest with {best}"
    return f"No method shows all {len(judged)} {bugs}; {closest}."


def remark(result: RunResult) -> str:
    """Which tests could not be judged and why, a sentence each; empty if all could."""
    return " ".join(
        f"{test.title} could not be judged: {failed.said}."
        for test in result.tests
        for failed in test.gates
        if not failed.passed
    )


def reading(verdicts: Sequence[Verdict], level: float) -> list[str]:
    """How to read the table, in a few sentences; `level` is the accepted rate of false claims."""
    margin = num(max((v.margin for v in verdicts), default=0.1))
    return [
        "Each cell is one method under one bug. The effect is how much the bug changes the test's "
        "number on the same inputs, compared with no bug (the control): positive if the bug "
        "shows; 1 would be the whole scale.",
        f"“Shows”: the effect is surely above {margin}, the smallest effect that counts, and above "
        "the difference between two models without a bug. “Doesn't”: it is surely below that. "
        "“Can't tell”: the data support neither claim.",
        f"“Surely” means p of at most {level:g} after adjustment for all cells of the table "
        "(Benjamini and Hochberg), so that testing many methods does not produce findings by "
        "itself.",
    ]


def spread(together: Verdict, each: Sequence[Verdict]) -> str:
    """`sd 0.03, 2 of 3 runs`: spread between runs, and how many single runs agree with all."""
    effects = [v.effect for v in each if not math.isnan(v.effect)]
    sd = [f"sd {num(statistics.stdev(effects))}"] if len(effects) > 1 else []
    alike = sum(v.answer == together.answer for v in each)
    parts = [*sd, f"{alike} of {len(each)} run{'s' * (len(each) > 1)}"]
    return ", ".join(part.replace(" ", NO_BREAK) for part in parts)


def _nothing(judged: Sequence[TestResult], methods: int, sure: bool) -> str:
    """That no method shows it is a finding only if every verdict says so."""
    shows = "shows" if sure else "is found to show"
    if len(judged) == 1:
        return f"{judged[0].title}: none of the {methods} methods {shows} it."
    return f"None of the {methods} methods {shows} any of the {len(judged)} bugs."


def _one_test(title: str, winners: Sequence[str], methods: int) -> str:
    if len(winners) == methods:
        return f"{title}: all {methods} methods show it."
    verb = "shows" if len(winners) == 1 else "show"
    return f"{title}: {len(winners)} of {methods} methods {verb} it ({listed(winners)})."
