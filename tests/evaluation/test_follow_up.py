"""The three questions of the follow-up, on scores of which the answers are known."""

from dataclasses import replace

import numpy as np

from explaindebug.debugtests.spurious import questions
from explaindebug.evaluation.follow_up import answers
from explaindebug.evaluation.results import Headline, RunResult, TestResult
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.report.console.follow_ups import print_questions

N = 60
MAIN = Headline("share", "background", "up", "Is it?")


def result(**means: tuple[float, float]) -> TestResult:
    """A test with mean scores (bug, control) by condition."""
    rng, scores = np.random.default_rng(0), Scores()
    for condition, arms in means.items():
        for role, mean in zip(("bug", "control"), arms, strict=True):
            values = np.clip(rng.normal(mean, 0.03, N), 0, 1)
            scores.add(Key("spurious", "grad", condition, role, "ssim"), np.arange(N), values)
    return TestResult("spurious", "Spurious", MAIN, scores, questions=questions("ssim"))


def told(**means: tuple[float, float]) -> dict[str, str]:
    found = answers(result(**means), margin=0.1, level=0.05)
    names = {q.condition: q.column for q in questions("ssim")}
    return {names[v.condition]: v.answer for v in found}


def test_a_signal_that_maps_show_to_whoever_looks() -> None:
    said = told(gt1=(0.7, 0.3), ccm=(0.3, 0.8), fam=(0.3, 0.8))
    assert said == {"K-SSD": "shows", "CCM": "shows", "FAM": "shows"}


def test_seen_where_it_is_known_and_no_cause_for_concern_where_it_is_not() -> None:
    said = told(gt1=(0.7, 0.3), ccm=(0.8, 0.8), fam=(0.8, 0.8))
    assert said["K-SSD"] == "shows"
    assert said["CCM"] != "shows"
    assert said["FAM"] != "shows"


def test_no_questions_no_answers() -> None:
    silent = TestResult("labels", "Labels", MAIN, Scores())
    assert answers(silent, margin=0.1, level=0.05) == []


def test_the_questions_of_the_three_conditions(sentence) -> None:
    asked = questions("ssim")
    assert [(q.condition, q.similarity, q.moves) for q in asked] == [
        ("gt1", "ssim", "up"),
        ("ccm", "ssim", "down"),
        ("fam", "ssim", "down"),
    ]
    for question in asked:
        name = question.short
        assert question.question.startswith(f"{name}: ")
        sentence(name, question.question)


def test_a_condition_that_was_not_measured_is_said() -> None:
    (known, *others) = answers(result(gt1=(0.7, 0.3)), margin=0.1, level=0.05)
    assert known.answer == "shows"
    assert all(v.answer == "can't tell" and v.reason for v in others)


def test_the_answers_are_printed_under_their_names(capsys) -> None:
    asked = result(gt1=(0.7, 0.3), ccm=(0.8, 0.8), fam=(0.3, 0.8))
    mine = Headline("of mine", "ssim", "up", "Mine: is it?")
    test = replace(asked, questions=(*asked.questions, mine))
    print_questions(
        RunResult([test], {"grad": "Grad"}, [], {}), answers(test, margin=0.1, level=0.05)
    )
    said = capsys.readouterr().out
    for word in ("K-SSD", "CCM", "FAM", "of mine", "Mine: is it?", "shows"):
        assert word in said
