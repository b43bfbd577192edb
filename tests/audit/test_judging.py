"""From measurements to the answer: families, needs, and the rate of false claims."""

import numpy as np
import pytest

from explaindebug.audit.judging import Checked, judged
from explaindebug.debugtests.check import CLASS, EDGES, HEAD, INPUT, OBJECT, STABLE
from explaindebug.debugtests.reliance import DROP, HEADLINE, ROW
from explaindebug.evaluation.results import TestResult
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Fault, Unscored

N = 48
ASKED = (CLASS, HEAD, INPUT, STABLE)


def measured(
    effects: dict[str, dict[str, float]], *, sd: float = 0.05, seed: int = 0, n: int = N
) -> TestResult:
    """What `Check` would measure if its effects were these, by method and question."""
    rng, scores, rows = np.random.default_rng(seed), Scores(), np.arange(n)
    questions = {q.condition: q for q in (*ASKED, OBJECT)}
    for method, own in effects.items():
        for name, effect in own.items():
            asked = questions[name]
            sign = 1 if asked.moves == "up" else -1
            values = 0.5 + sign * (effect + sd * rng.standard_normal(n))
            for role, column in (("bug", values), ("control", np.full(n, 0.5))):
                scores.add(Key("check", method, name, role, asked.similarity), rows, column)
    asked_for = tuple(dict.fromkeys(questions[q] for own in effects.values() for q in own))
    return TestResult(
        "check", "One network", HEAD, scores, same_network=True,
        questions=[q for q in asked_for if q is not HEAD],
    )  # fmt: skip


def reliance(drop: float) -> TestResult:
    scores, rows = Scores(), np.arange(N)
    for role, value in (("bug", drop), ("control", 0.0)):
        noise = 0.01 * np.random.default_rng(1).standard_normal(N)
        scores.add(Key("reliance", ROW, "removed", role, DROP), rows, value + noise)
    return TestResult(
        "reliance", "Reliance", HEADLINE, scores, rows={ROW: "The network"}, same_network=True
    )


def answer(found: Checked, test: str, method: str) -> str:
    return next(v.answer for v in found.verdicts if (v.test, v.method) == (test, method))


GOOD = {"class": 0.4, "head": 0.4, "input": 0.4, "noise": 0.3}


@pytest.mark.parametrize(
    ("question", "effect", "fit"),
    [
        ("class", 0.4, "fit"),
        ("class", 0.0, "not fit"),
        ("head", 0.02, "not fit"),
        ("input", -0.3, "not fit"),
        ("noise", 0.05, "fit"),  # the margin of this question is 0
        ("noise", -0.05, "not fit"),
        ("class", 0.1, "can't tell"),
    ],
)
def test_each_question_has_its_direction_and_margin(question: str, effect: float, fit: str) -> None:
    found = judged(measured({"grad": {**GOOD, question: effect}}), {"grad": "Grad"})
    assert found.fit == found.fitness[0].fit == fit


def test_one_method_that_is_not_fit_decides_the_whole() -> None:
    effects = {"grad": GOOD, "gbp": {**GOOD, "class": 0.0}}
    found = judged(measured(effects), {"grad": "Grad", "gbp": "GBP"})
    assert [one.fit for one in found.fitness] == ["fit", "not fit"]
    assert found.fit == "not fit"


def test_the_edge_detector_is_no_method_and_makes_no_claim_easier() -> None:
    effects = {"grad": {**GOOD, "class": 0.12}, EDGES: {**GOOD, "class": 0.0}}
    alone = judged(measured({"grad": effects["grad"]}), {"grad": "Grad"})
    beside = judged(measured(effects), {"grad": "Grad"})
    assert [one.method for one in beside.fitness] == ["grad"]
    assert answer(beside, "class", EDGES) == "doesn't"
    adjusted = [
        {v.test: v.p_adjusted for v in found.verdicts if v.method == "grad"}
        for found in (alone, beside)
    ]
    assert adjusted[0] == adjusted[1]


@pytest.mark.parametrize(
    ("drop", "share", "fit"),
    [(0.6, 0.4, "fit"), (0.6, 0.0, "not fit"), (0.0, 0.0, "fit"), (0.0, 0.4, "fit")],
)
def test_maps_have_to_lie_on_an_object_only_if_the_network_relies_on_it(
    drop: float, share: float, fit: str
) -> None:
    result = measured({"grad": {**GOOD, "object": share}})
    found = judged(result, {"grad": "Grad"}, reliance=reliance(drop))
    assert found.fit == fit
    assert found.reliance is not None
    assert found.reliance.answer == ("shows" if drop else "doesn't")


def test_constant_maps_are_not_fit() -> None:
    result = measured({"grad": GOOD})
    key = Key("check", "grad", "noise", "bug")
    result.unscored = [Unscored(key, Fault.REFERENCE_CONSTANT, tuple(range(N // 2)))]
    assert judged(result, {"grad": "Grad"}).fit == "not fit"


def test_clusters_count_as_one_input_each() -> None:
    result = measured({"grad": GOOD})
    result.clusters = {row: str(row % 3) for row in range(N)}
    assert judged(result, {"grad": "Grad"}).fit == "can't tell"


def test_false_claims_are_as_rare_as_promised() -> None:
    """Effects that lie on the margin make any claim false: at most 5 % of the tables have one."""
    tables, methods = 40, ("a", "b")
    margins = {"class": 0.1, "head": 0.1, "input": 0.1, "noise": 0.0}
    wrong = {"shows": 0, "doesn't": 0}
    for seed in range(tables):
        result = measured(dict.fromkeys(methods, margins), sd=0.15, seed=seed, n=32)
        found = judged(result, dict.fromkeys(methods, ""), seed=seed)
        for claim in wrong:
            wrong[claim] += any(v.answer == claim for v in found.verdicts)
    # At a rate of 5 %, more than 7 of 40 are one draw in two thousand.
    assert max(wrong.values()) <= 7
    assert sum(wrong.values()) > 0  # the claims are not simply never made
