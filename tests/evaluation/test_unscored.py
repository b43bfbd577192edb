"""Reports of maps without a score: enough to find them, in few sentences."""

import numpy as np

from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Fault, Unscored, restricted, sentences

CONSTANT = Fault.MAP_CONSTANT


def key(method: str = "grad", condition: str = "top 1", role: str = "bug") -> Key:
    return Key("reinit", method, condition, role)


def table(inputs: int) -> Scores:
    scores = Scores()
    scores.add(key()._replace(similarity="ssim"), np.arange(inputs), np.zeros(inputs))
    return scores


def test_one_key_is_named_with_its_inputs(sentence) -> None:
    (said,) = sentences([Unscored(key(), CONSTANT, (3,))], table(4))
    for named in ("grad", "reinit", "top 1", "bug", CONSTANT, "1 of 4 inputs", "rows 3"):
        assert named in said
    sentence("one key", said)


def test_methods_conditions_and_draws_share_a_sentence_and_arms_and_faults_do_not(
    sentence,
) -> None:
    found = [
        Unscored(key(method, f"top {stage}", role), CONSTANT, tuple(range(stage)))
        for method in ("grad", "gbp")
        for stage in range(1, 7)
        for role in ("bug", "bug: 2")
    ]
    found += [
        Unscored(key(condition="", role="control"), CONSTANT, (5,)),
        Unscored(key(), Fault.MAP_NOT_FINITE, (9,)),
    ]
    said = sentences(found, table(10))
    assert [CONSTANT in one for one in said] == [True, True, False]
    assert ["control" in one for one in said] == [False, True, False]
    for named in ("grad and gbp", "top 3 and 3 more", "6 of 10 inputs each, 6 in all"):
        assert named in said[0]
    for name, one in zip(("bug", "control", "not finite"), said, strict=True):
        sentence(name, one)


def test_methods_are_all_named_and_other_inputs_of_each_are_all_counted() -> None:
    names = [f"m{k}" for k in range(7)]
    (said,) = sentences([Unscored(key(m), CONSTANT, (k,)) for k, m in enumerate(names)], table(9))
    assert "m0, m1, m2, m3, m4, m5 and m6 (reinit" in said
    assert "up to 1 of 9 inputs each, 7 in all (rows 0, 1, 2, 3, 4, 5, 6)" in said


def test_parts_of_the_inputs_give_what_all_of_them_would() -> None:
    whole = [Unscored(key(), CONSTANT, tuple(range(0, 40, 3)))]
    parts = restricted(whole, range(20, 40)) + restricted(whole, range(20))
    assert sentences(parts, table(40)) == sentences(whole, table(40))
    assert (
        "14 of 40 inputs (rows 0, 3, 6, 9, 12, 15, 18, 21, ...)" in sentences(parts, table(40))[0]
    )
    assert restricted(whole, [1, 2]) == []


def test_two_faults_say_that_something_is_broken() -> None:
    broken = {Fault.MAP_NOT_FINITE, Fault.REFERENCE_NOT_FINITE}
    assert {fault for fault in Fault if fault.broken} == broken
