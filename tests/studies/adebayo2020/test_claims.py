"""Each claim on a run that bears it out, on one that doesn't, and on one that can't tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paper_runs import Column, Means, all_alike, entry, record

from explaindebug.evaluation.detection import Name, detectors
from explaindebug.evaluation.results import Gate
from explaindebug.studies.adebayo2020.claims import CLAIMS, Finding, finding, findings
from explaindebug.studies.adebayo2020.published import (
    EXPERIMENTS,
    INVARIANT,
    METHODS,
    NOT_INVARIANT,
)

BY_NUMBER = {claim.number: claim for claim in CLAIMS}
LEARNED = Gate("accuracy on scenes alone", 0.97, 0.9, "not learned")
STAGES = ("top 1", "top 2", "top 3")
Columns = dict[Column, Means]
Judge = Callable[..., Finding]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def judged(number: int, kind: str, columns: Columns, **more: Any) -> Finding:
        where = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        return finding(BY_NUMBER[number], entry(where, kind, columns, **more))

    return judged


def answers(found: Finding) -> tuple[str, str]:
    return found.measured.answer, found.beyond.answer


def spurious(**changes: Means) -> Columns:
    """Table 2 as the paper has it; under clean networks less lies on the background."""
    printed = EXPERIMENTS["table2"].numbers
    columns: Columns = {
        (truth, "bug", "ssim"): dict(printed[truth, "ssim"]) | changes.get(truth, {})
        for truth in ("gt1", "gt2")
    }
    columns["gt2", "control", "ssim"] = all_alike(0.81)
    columns["gt2", "null: shuffled", "ssim"] = all_alike(0.84)
    columns["share", "bug", "background"] = all_alike(0.9) | changes.get("share", {})
    columns["share", "control", "background"] = all_alike(0.5)
    return columns


def test_there_are_six() -> None:
    assert [claim.number for claim in CLAIMS] == [1, 2, 3, 4, 5, 6]


def test_1_background_emphasised(judge: Judge) -> None:
    found = judge(1, "table2", spurious(), gates=(LEARNED,))
    assert answers(found) == ("holds", "holds")
    assert "0.78 (Kernel SHAP) to 0.98 (VGrad)" in found.measured.evidence
    assert "16" not in found.measured.evidence
    assert "high for 15 of 15 methods" in found.measured.evidence
    assert "15 of 15 methods show it" in found.beyond.evidence
    assert "0.84" in found.beyond.evidence


@pytest.mark.parametrize(
    ("changes", "expected", "says"),
    [
        ({"gt2": {"LIME": 0.5}}, "does not", "14 of 15 methods (not LIME)"),
        ({"gt2": {"LIME": 0.65}}, "can't tell here", "14 of 15 methods (open: LIME)"),
        ({"gt1": {"VGrad": 0.6}}, "does not", "VGrad 0.60"),
    ],
)
def test_1_background_not_emphasised_by_every_method(
    judge: Judge, changes: Any, expected: str, says: str
) -> None:
    found = judge(1, "table2", spurious(**changes), gates=(LEARNED,))
    assert found.measured.answer == expected
    assert says in found.measured.evidence
    assert found.beyond.answer == "holds"


def test_1_maps_that_lie_there_under_clean_networks_too(judge: Judge) -> None:
    columns = spurious(share=all_alike(0.5))
    assert answers(judge(1, "table2", columns, gates=(LEARNED,))) == ("holds", "does not")


def test_1_nothing_is_said_by_a_void_test_nor_without_the_methods(judge: Judge) -> None:
    failed = Gate("accuracy on scenes alone", 0.6, 0.9, "the network has not learned the signal")
    void = judge(1, "table2", spurious(), gates=(failed,))
    assert answers(void) == ("can't tell here",) * 2
    assert "not learned the signal" in void.measured.evidence
    few = {
        key: {m: x for m, x in means.items() if m == "Grad"} for key, means in spurious().items()
    }
    assert judge(1, "table2", few, gates=(LEARNED,)).measured.answer == "can't tell here"


@pytest.mark.parametrize(
    ("alone", "clean", "struck", "expected"),
    [
        (0.97, 0.55, 629, ("holds", "holds")),
        (0.97, 0.95, 629, ("holds", "does not")),
        (0.80, 0.55, 629, ("does not", "holds")),
        (0.92, 0.55, 50, ("can't tell here", "holds")),
        (0.92, 0.55, None, ("holds", "holds")),  # how many scenes there were is not known
    ],
)
def test_2_scenes_alone(
    tmp_path: Path, alone: float, clean: float, struck: int | None, expected: tuple[str, str]
) -> None:
    accuracies = (("spurious", "scenes alone", alone), ("clean", "scenes alone", clean))
    made = entry(tmp_path / "run", "table2", spurious(), gates=(LEARNED,), accuracies=accuracies)
    if struck:
        record(tmp_path / "run", "spurious", train=4, test=struck)
    found = finding(BY_NUMBER[2], made)
    assert answers(found) == expected
    assert (f"of {struck} scenes" in found.measured.evidence) == bool(struck)


def test_2_a_run_that_did_not_ask(judge: Judge) -> None:
    assert answers(judge(2, "table2", spurious())) == ("can't tell here",) * 2


def labels(ssim: Means, rank: Means, twin: float = 0.3) -> Columns:
    return {
        ("flipped", "bug", "ssim"): ssim,
        ("flipped", "control", "ssim"): all_alike(0.9),
        ("flipped", "bug", "spearman"): rank,
        ("flipped", "control", "spearman"): all_alike(twin),
    }


def test_3_mislabelled_look_like_others(judge: Judge) -> None:
    columns = labels(all_alike(0.85), all_alike(0.3))
    found = judge(3, "mislabelled", columns)
    assert answers(found) == ("holds", "holds")
    assert "two networks with the right labels agree by 0.90" in found.beyond.evidence


def test_3_one_method_is_less_alike(judge: Judge) -> None:
    columns = labels(all_alike(0.85) | {"GBP": 0.4}, all_alike(0.6) | {"GBP": 0.1}, twin=0.6)
    found = judge(3, "mislabelled", columns)
    assert answers(found) == ("does not", "does not")
    assert "not GBP" in found.measured.evidence
    assert "show it (GBP)" in found.beyond.evidence


def test_3_says_what_finds_the_examples(judge: Judge) -> None:
    flipped = [True] * 30 + [False] * 30
    scores = {Name("", "loss"): [float(x) for x in flipped], Name("gbp", "gini"): list(range(60))}
    found = detectors(scores, flipped, test="labels", finds="flipped labels")
    columns = labels(all_alike(0.85), all_alike(0.3))
    said = judge(3, "mislabelled", columns, detectors=tuple(found)).beyond.evidence
    assert "by the loss 1.00 [1.00, 1.00]" in said
    assert "by the best statistic of maps (Gini index of GBP) 0.00" in said


def cascade(change: Means, null: float = 0.0, control: float = 0.9) -> Columns:
    every = dict.fromkeys(INVARIANT, 0.85) | dict.fromkeys(NOT_INVARIANT, 0.1)
    columns: Columns = {}
    for stage in STAGES:
        columns[stage, "bug", "spearman"] = every | dict(change)
        columns[stage, "control", "spearman"] = dict.fromkeys(every, control)
        columns[stage, "null: gaussian", "spearman"] = dict.fromkeys(every, null)
    return columns


LOST = {"top 1": 0.9, "top 2": 0.01}  # the network is lost at the stage of the verdict


def test_4_some_are_invariant_to_higher_layers(judge: Judge) -> None:
    found = judge(4, "figure7", cascade({}), stages=STAGES, agreement=LOST)
    assert answers(found) == ("holds", "holds")
    assert "2 of 3 stages lost (down to top 2)" in found.measured.evidence
    assert "GBP 0.94" in found.measured.evidence  # 0.85 / 0.9
    assert "0.010 of the network's predictions" in found.beyond.evidence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"GBP": 0.1}, "5 of 6 methods (not GBP)"),
        ({"LRP-EPS": 0.8}, "5 of 6 methods (not LRP-EPS)"),
    ],
)
def test_4_another_method_is_or_one_is_not(judge: Judge, change: Means, says: str) -> None:
    found = judge(4, "figure7", cascade(change), stages=STAGES, agreement=LOST)
    assert found.measured.answer == "does not"
    assert says in found.measured.evidence


def test_4_half_is_counted_from_the_null_to_the_control(judge: Judge) -> None:
    """0.55 is more than half of 0.9, but not of the way to it from 0.4."""
    columns = cascade(dict.fromkeys(INVARIANT, 0.55), null=0.4)
    found = judge(4, "figure7", columns, stages=STAGES, agreement=LOST)
    assert found.measured.answer == "does not"
    assert "GBP 0.30" in found.measured.evidence  # (0.55 - 0.4) / (0.9 - 0.4)


def test_4_can_not_be_told(judge: Judge) -> None:
    """Methods lacking; no room between null and control; another order; a network that is whole."""
    few = {
        key: {m: x for m, x in means.items() if m != "GBP"} for key, means in cascade({}).items()
    }
    for columns, more in (
        (few, {}),
        (cascade({}, null=0.88), {}),
        (cascade({}), {"bug": {"reinit": {"order": "bottom_up"}}}),
    ):
        found = judge(4, "figure7", columns, stages=STAGES, agreement=LOST, **more)
        assert found.measured.answer == "can't tell here"
    whole = {"top 1": 0.1, "top 2": 0.98}
    found = judge(4, "figure7", cascade({}), stages=STAGES, agreement=whole)
    assert found.beyond.answer == "does not"
    unknown = judge(4, "figure7", cascade({}), stages=STAGES)
    assert unknown.beyond.answer == "can't tell here"


def foreign(column: str, **changes: Means) -> Columns:
    printed = EXPERIMENTS[column].numbers
    columns: Columns = {
        ("foreign", "bug", similarity): dict(printed["foreign", similarity])
        | changes.get(similarity, {})
        for similarity in ("ssim", "spearman")
    }
    columns["foreign", "control", "spearman"] = changes.get("twin", all_alike(0.9))
    return columns


@pytest.mark.parametrize("column", ["table3_mnist", "table3_birds_dogs", "table3_vgg16"])
def test_5_holds_for_the_papers_own_numbers(judge: Judge, column: str) -> None:
    found = judge(5, column, foreign(column))
    assert answers(found) == ("holds", "holds")
    assert found.entry.experiment.name == column


def test_5_maps_that_agree_and_twins_that_do_not(judge: Judge) -> None:
    alike = foreign("table3_mnist", spearman=all_alike(0.6))
    assert answers(judge(5, "table3_mnist", alike)) == ("does not", "holds")
    low = foreign("table3_mnist", ssim=all_alike(0.3))
    assert judge(5, "table3_mnist", low).measured.answer == "does not"
    strangers = foreign("table3_mnist", spearman=all_alike(0.0), twin=all_alike(0.0))
    assert answers(judge(5, "table3_mnist", strangers)) == ("holds", "does not")
    split = {m: 0.0 if k < 7 else 0.1 for k, m in enumerate(METHODS)}
    open_ = foreign("table3_mnist", spearman=split)
    assert judge(5, "table3_mnist", open_).measured.answer == "can't tell here"


def calibrated(raw: float, matched: float) -> Columns:
    from explaindebug.studies.adebayo2020.published import Printed

    columns = spurious()
    for truth in ("gt1", "gt2"):
        for role, mean in (("gaussian_raw", raw), ("gaussian", matched)):
            column = dict.fromkeys(METHODS, Printed(mean, 1e-4))
            columns[truth, f"null: {role}", "ssim"] = column
    return columns


@pytest.mark.parametrize(
    ("raw", "matched", "expected"),
    [
        (3e-6, 0.23, ("holds", "does not")),
        (3e-6, 1e-6, ("holds", "does not")),  # shuffled maps still have 0.84
        (0.05, 0.23, ("does not", "does not")),
    ],
)
def test_6_noise(judge: Judge, raw: float, matched: float, expected: tuple[str, str]) -> None:
    found = judge(6, "table2", calibrated(raw, matched))
    assert answers(found) == expected
    assert f"to GT-1 {raw:.1e}" in found.measured.evidence
    assert "shuffled maps, GT-2: 0.84" in found.beyond.evidence


def test_6_matched_noise_that_is_about_none_as_well(judge: Judge) -> None:
    columns = calibrated(3e-6, 1e-6)
    del columns["gt2", "null: shuffled", "ssim"]
    assert answers(judge(6, "table2", columns)) == ("holds", "holds")


def test_6_was_not_asked(judge: Judge) -> None:
    found = judge(6, "table2", spurious())
    assert found.measured.answer == "can't tell here"
    assert "nulls=[gaussian,gaussian_raw]" in found.measured.evidence


def test_without_any_run_none_can_tell_and_each_run_tells_by_itself(tmp_path: Path) -> None:
    nobody = findings(CLAIMS, [])
    assert [answers(found) for found in nobody] == [("can't tell here",) * 2] * 6
    assert "experiment=table3" in nobody[4].measured.evidence
    columns = ["table3_mnist", "table3_vgg16"]
    runs = [entry(tmp_path / name, name, foreign(name)) for name in columns]
    found = findings(CLAIMS, runs)
    own = [one.entry.experiment.name for one in found if one.claim.number == 5]
    assert (len(found), own) == (7, columns)
