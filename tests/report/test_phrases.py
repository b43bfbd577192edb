import math
from dataclasses import replace

import pytest
from fake_run import METHODS, fake_run, fake_verdicts

from explaindebug.core import wording
from explaindebug.evaluation.results import Gate, RunResult
from explaindebug.report import phrases

RUN = fake_run(inputs=1, size=16)
VERDICTS = fake_verdicts(RUN)


def run_of(*names: str) -> RunResult:
    return replace(RUN, tests=[test for test in RUN.tests if test.name in names])


def all_answering(answer: str, *but: tuple[str, str]):
    """Every verdict with one answer, and "shows" for the given (test, method)."""
    return [replace(v, answer="shows" if (v.test, v.method) in but else answer) for v in VERDICTS]


THREE = ("spurious", "labels", "reinit")


@pytest.mark.parametrize(
    ("name", "tests", "verdicts", "named"),
    [
        ("all of many", THREE, all_answering("shows"), ("Grad", "6 more", "3 bugs")),
        ("none of many", THREE, all_answering("doesn't"), ("9 methods", "3 bugs")),
        ("none found", THREE, all_answering("can't tell"), ("9 methods", "3 bugs")),
        (
            "closest",
            THREE,
            all_answering("doesn't", ("labels", "gbp")),
            ("3 bugs", "GBP", "1"),
        ),
        (
            "both",
            THREE[:2],
            all_answering("can't tell", ("labels", "gbp"), ("spurious", "gbp")),
            ("GBP", "both"),
        ),
        ("all of one", THREE[:1], all_answering("shows"), ("Spurious background", "9 methods")),
        ("none of one", THREE[:1], all_answering("doesn't"), ("Spurious background", "9 methods")),
        (
            "one of one",
            THREE[:1],
            all_answering("doesn't", ("spurious", "sgrad")),
            ("Spurious background", "1 of 9 methods", "SGrad"),
        ),
        ("one void", (*THREE, "ood"), VERDICTS, ("SGradSQ", "VGrad", "3 bugs")),
        ("all void", ("ood",), VERDICTS, ("void",)),
        ("no test", (), [], ()),
    ],
)
def test_the_answer_is_a_sentence(name, tests, verdicts, named, sentence) -> None:
    answer = phrases.answer(run_of(*tests), verdicts)
    for one in named:
        assert one in answer
    sentence(name, answer)


def test_a_void_test_does_not_count_and_is_named(sentence) -> None:
    shown = [("ood", method) for method in METHODS]
    verdicts = all_answering("doesn't", *shown)
    judged = phrases.answer(run_of("spurious"), verdicts)
    assert phrases.answer(run_of("spurious", "ood"), verdicts) == judged
    (void,) = phrases.findings(run_of("spurious", "ood"), verdicts)
    for named in ("Out of distribution", "accuracy", "0.87 < 0.9"):
        assert named in " ".join(void.split())
    sentence("a void test", " ".join(void.split()))
    assert phrases.findings(run_of("spurious"), verdicts) == []


def test_each_bug_has_a_line_of_its_own() -> None:
    said = phrases.findings(RUN, VERDICTS)
    assert [line.partition(":")[0] for line in said[:3]] == [test.title for test in RUN.tests[:3]]
    assert said[3].startswith(f"{RUN.tests[3].title} could not be judged")


def verdicts_of(**answers: list[float]) -> list:
    """Verdicts of the spurious test: effects by answer, in the order of the methods."""
    words = {"shows": "shows", "doesnt": "doesn't", "open": "can't tell"}
    told = [(words[key], effect) for key, effects in answers.items() for effect in effects]
    own = [v for v in VERDICTS if v.test == "spurious"]
    return [
        replace(v, answer=answer, effect=effect)
        for v, (answer, effect) in zip(own, told, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "verdicts", "named", "foot"),
    [
        (
            "all show it",
            verdicts_of(shows=[0.2, 0.21, 0.22, 0.34, 0.33, 0.22, 0.18, 0.38, 0.18]),
            ("9 of 9 methods", "GBP and SGradSQ most"),
            "9 of 9",
        ),
        (
            "one is open",
            verdicts_of(shows=[0.2, 0.5, 0.2, 0.2, 0.4, 0.2, 0.2, 0.2], open=[0.9]),
            ("8 of 9 methods", "Input-Grad and VGrad most", "DConvNet", "can't tell"),
            "8 of 9",
        ),
        (
            "some of each",
            verdicts_of(shows=[0.3, 0.2], doesnt=[0.0], open=[0.1] * 6),
            ("2 of 9 methods", "Grad and Input-Grad", "SGrad doesn't", "for 6 we can't tell"),
            "2 of 9",
        ),
        (
            "all are open",
            verdicts_of(open=[0.01, 0.02, 0.03, -0.3, 0.05, 0.06, 0.07, 0.11, math.nan]),
            ("can't tell", "9 methods", "+0.11", "GBP"),
            "can't tell",
        ),
        (
            "some are open",
            verdicts_of(doesnt=[0.0] * 4, open=[0.05] * 5),
            ("4 of 9 methods", "don't", "can't tell"),
            "5 undecided",
        ),
        ("none shows it", verdicts_of(doesnt=[0.0] * 9), ("none of the 9 methods",), "0 of 9"),
    ],
)
def test_the_line_of_a_bug(name, verdicts, named, foot, sentence) -> None:
    run = run_of("spurious")
    said = phrases.finding(run.tests[0], run, verdicts)
    for one in named:
        assert one in said
    assert "0 of" not in said
    sentence(f"a bug: {name}", said)
    assert phrases.shown_by(verdicts) == foot


@pytest.mark.parametrize(
    ("value", "num", "signed"),
    [
        (0.4249, "0.42", "+0.42"),
        (-0.031, "−0.03", "−0.03"),
        (-0.001, "0.00", "0.00"),
        (0.0, "0.00", "0.00"),
        (float("nan"), "–", "–"),
    ],
)
def test_numbers(value, num, signed) -> None:
    assert wording.num(value) == num
    assert wording.signed(value) == signed


def test_a_measured_value_below_its_gate_never_reads_as_if_it_reached_it() -> None:
    gate = Gate("accuracy", 0.8999, 0.9, "")
    assert gate.said.split() == ["accuracy", "0.8999", "<", "0.9"]
    assert replace(gate, value=0.974).said.split() == ["accuracy", "0.97", "≥", "0.9"]


def test_p_and_intervals() -> None:
    assert wording.pvalue(0.0004) == "<0.001"
    assert wording.pvalue(0.0123) == "0.012"
    assert wording.pvalue(float("nan")) == "–"
    assert wording.interval((-0.04, 0.1)) == "[−0.04, 0.10]"


def test_lists_name_few_and_count_the_rest() -> None:
    assert wording.listed([]) == ""
    assert wording.listed(["A"]) == "A"
    assert wording.listed(["A", "B", "C"]) == "A, B and C"
    assert wording.listed(["A", "B", "C", "D"], most=3) == "A, B and 2 more"
