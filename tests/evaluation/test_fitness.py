"""Several verdicts of a method as one: whether its maps can be read."""

import pytest

from explaindebug.evaluation.fitness import Need, fitness
from explaindebug.evaluation.results import Answer, Verdict

NEEDS = (
    Need("class", "follows the class", "ignores the class"),
    Need("input", "follows", "ignores"),
)


def verdict(test: str, answer: Answer, method: str = "grad") -> Verdict:
    names = "effect p p_adjusted p_absent p_absent_adjusted bug control null"
    return Verdict(
        test=test,
        method=method,
        condition=test,
        similarity="spearman",
        answer=answer,
        reason=f"{test} is {answer}.",
        interval=(0.0, 0.0),
        margin=0.1,
        n=8,
        missing=0,
        models=(1, 1),
        units=8,
        **dict.fromkeys(names.split(), 0.0),
    )


@pytest.mark.parametrize(
    ("answers", "fit"),
    [
        (("shows", "shows"), "fit"),
        (("shows", "doesn't"), "not fit"),
        (("doesn't", "can't tell"), "not fit"),
        (("can't tell", "shows"), "can't tell"),
    ],
)
def test_every_need_has_to_be_met_and_one_failure_is_enough(
    answers: tuple[Answer, Answer], fit: str
) -> None:
    own = [verdict("class", answers[0]), verdict("input", answers[1])]
    other = [verdict("class", "doesn't", "gbp"), verdict("input", "doesn't", "gbp")]
    assert fitness("grad", [*other, *own], NEEDS).fit == fit


def test_questions_that_are_no_needs_decide_nothing() -> None:
    found = fitness("grad", [verdict("class", "shows"), verdict("object", "doesn't")], NEEDS)
    assert found.fit == "fit"
    assert set(found.verdicts) == {"class", "object"}


def test_reasons_name_what_failed_and_what_is_open() -> None:
    failed = fitness("grad", [verdict("class", "doesn't"), verdict("input", "shows")], NEEDS)
    assert "ignores the class" in failed.reason
    assert "follows" not in failed.reason
    undecided = fitness("grad", [verdict("class", "can't tell"), verdict("input", "shows")], NEEDS)
    assert "class is can't tell." in undecided.reason


@pytest.mark.parametrize(("empty", "fit"), [(0.49, "fit"), (0.5, "not fit"), (1.0, "not fit")])
def test_maps_that_are_mostly_constant_can_not_be_read(empty: float, fit: str) -> None:
    own = [verdict("class", "shows"), verdict("input", "shows")]
    assert fitness("grad", own, NEEDS, empty).fit == fit


def test_without_any_verdict_nothing_is_claimed() -> None:
    assert fitness("grad", [], NEEDS).fit == "can't tell"
