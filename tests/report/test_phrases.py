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
    ("tests", "verdicts", "sentence"),
    [
        (THREE, all_answering("shows"), "Grad, Input-Grad, SGrad and 6 more show all 3 bugs."),
        (THREE, all_answering("doesn't"), "None of the 9 methods shows any of the 3 bugs."),
        (
            THREE,
            all_answering("can't tell"),
            "None of the 9 methods is found to show any of the 3 bugs.",
        ),
        (
            THREE,
            all_answering("doesn't", ("labels", "gbp")),
            "No method shows all 3 bugs; GBP comes closest with 1.",
        ),
        (
            THREE[:2],
            all_answering("can't tell", ("labels", "gbp"), ("spurious", "gbp")),
            "GBP shows both bugs.",
        ),
        (THREE[:1], all_answering("shows"), "Spurious background: all 9 methods show it."),
        (
            THREE[:1],
            all_answering("doesn't"),
            "Spurious background: none of the 9 methods shows it.",
        ),
        (
            THREE[:1],
            all_answering("doesn't", ("spurious", "sgrad")),
            "Spurious background: 1 of 9 methods shows it (SGrad).",
        ),
        (
            (*THREE, "ood"),
            VERDICTS,
            "SGradSQ and VGrad show all 3 bugs that could be judged.",
        ),
        (("ood",), VERDICTS, "Nothing can be said: every test is void."),
        ((), [], "No test was run."),
    ],
)
def test_the_answer_is_a_sentence(tests, verdicts, sentence) -> None:
    assert phrases.answer(run_of(*tests), verdicts) == sentence


def test_a_void_test_does_not_count_and_is_named() -> None:
    shown = [("ood", method) for method in METHODS]
    answer = phrases.answer(run_of("spurious", "ood"), all_answering("doesn't", *shown))
    assert answer == "Spurious background: none of the 9 methods shows it."
    assert " ".join(phrases.remark(RUN).split()) == (
        "Out of distribution could not be judged: in-domain model's test accuracy 0.87 < 0.9."
    )
    assert phrases.remark(run_of("spurious")) == ""


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
