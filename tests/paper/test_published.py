"""The paper's numbers, as far as they can be checked against what its text says of them."""

import pytest

from explaindebug.attributions.plan import Plan
from explaindebug.paper.published import EXPERIMENTS, INVARIANT, METHODS, NOT_INVARIANT

TABLES = [name for name, one in EXPERIMENTS.items() if one.numbers]


def test_methods_are_called_as_ours_are() -> None:
    ours = {method.label for method in Plan("all", references=True).methods.values()}
    assert ours == {*METHODS, "DeepTaylor"}
    assert {*INVARIANT, *NOT_INVARIANT} <= ours
    assert not {*INVARIANT} & {*NOT_INVARIANT}


@pytest.mark.parametrize("name", TABLES)
def test_every_method_has_a_number_that_can_be(name: str) -> None:
    for column in EXPERIMENTS[name].numbers.values():
        assert tuple(column) == METHODS
        for mean, sem in column.values():
            assert -1 <= mean <= 1
            assert sem is None or 0 < sem < 0.05


def test_ranges_that_the_text_gives() -> None:
    gt2 = EXPERIMENTS["table2"].numbers["gt2", "ssim"]
    assert min(gt2.values())[0] == gt2["Kernel SHAP"].mean == 0.78
    assert max(gt2.values())[0] == gt2["VGrad"].mean == 0.98
    assert EXPERIMENTS["mislabelled"].ranges == {("flipped", "ssim"): (0.73, 0.99)}


def test_one_error_was_lost_in_print() -> None:
    lost = [
        (name, comparison, method)
        for name in TABLES
        for comparison, column in EXPERIMENTS[name].numbers.items()
        for method, (_, sem) in column.items()
        if sem is None
    ]
    assert lost == [("table3_mnist", ("foreign", "spearman"), "EGrad")]
