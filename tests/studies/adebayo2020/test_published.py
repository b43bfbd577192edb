"""The paper's numbers, as far as they can be checked against what its text says of them."""

from typing import Any

import printed_tables
import pytest

from explaindebug.attributions._engine.plan import Plan
from explaindebug.studies.adebayo2020.published import (
    ACCURACIES,
    CALIBRATION,
    EXPERIMENTS,
    INVARIANT,
    METHODS,
    NOT_INVARIANT,
    SCENES_ALONE,
)

OOD = (("foreign", "ssim"), ("foreign", "spearman"))
TABLES = [name for name, one in EXPERIMENTS.items() if one.numbers]


def test_methods_are_called_as_ours_are() -> None:
    ours = {method.label for method in Plan("all", references=True).methods.values()}
    assert ours == {*METHODS, "DeepTaylor", "Grad-CAM", "Occlusion"}  # the last two are not its
    assert {*INVARIANT, *NOT_INVARIANT} <= ours
    assert not {*INVARIANT} & {*NOT_INVARIANT}


@pytest.mark.parametrize(
    ("name", "comparisons", "printed"),
    [
        ("table2", (("gt1", "ssim"), ("gt2", "ssim")), printed_tables.TABLE2),
        ("table3_mnist", OOD, printed_tables.MNIST),
        ("table3_birds_dogs", OOD, printed_tables.BIRDS_DOGS),
        ("table3_vgg16", OOD, printed_tables.VGG16),
    ],
)
def test_every_number_is_the_printed_one(
    name: str, comparisons: Any, printed: dict[str, printed_tables.Row]
) -> None:
    numbers = EXPERIMENTS[name].numbers
    assert tuple(numbers) == comparisons
    assert all(tuple(column) == METHODS for column in numbers.values())
    for method, (one, one_error, two, two_error) in printed.items():
        found = [numbers[comparison][method] for comparison in comparisons]
        assert [x.mean for x in found] == [one, two]
        assert found[0].sem == abs(one_error or 0)  # no error is negative
        assert found[1].sem == two_error


def test_all_tables_have_been_checked() -> None:
    assert set(TABLES) == {"table2", "table3_mnist", "table3_birds_dogs", "table3_vgg16"}


def test_ranges_that_the_text_gives() -> None:
    gt2 = EXPERIMENTS["table2"].numbers["gt2", "ssim"]
    assert min(gt2.values())[0] == gt2["Kernel SHAP"].mean == 0.78
    assert max(gt2.values())[0] == gt2["VGrad"].mean == 0.98
    assert EXPERIMENTS["mislabelled"].ranges == {("flipped", "ssim"): (0.73, 0.99)}


def test_order_relations_that_the_text_states() -> None:
    """Section 3.1: of GT-1 two methods are unlike all others. Section 5: maps look alike (SSIM)
    though ranks of signed methods have nothing to do with each other.
    """
    gt1, gt2 = (EXPERIMENTS["table2"].numbers[truth, "ssim"] for truth in ("gt1", "gt2"))
    outliers = {"SGradSQ", "VGrad"}
    assert {m for m, x in gt1.items() if x.mean < 0.4} == outliers
    assert all(gt2[m].mean > gt1[m].mean for m in METHODS)
    for name in ("table3_mnist", "table3_birds_dogs", "table3_vgg16"):
        ssim, rank = (EXPERIMENTS[name].numbers["foreign", s] for s in ("ssim", "spearman"))
        assert max(ssim, key=lambda m: ssim[m].mean) == "VGrad"
        for method in ("Grad", "SGrad", "Input-Grad", "IntGrad", "EGrad"):
            assert abs(rank[method].mean) < 0.01 < 0.4 < ssim[method].mean


def test_what_the_text_gives_besides() -> None:
    assert ACCURACIES == {"training": 0.932, "validation": 0.917, "test": 0.88}
    assert (SCENES_ALONE, CALIBRATION) == (0.97, 3e-6)
    assert set(INVARIANT) == {"GBP", "DConvNet", "DeepTaylor", "PNet", "PAttribution", "LRP-SPAF"}


def test_one_error_was_lost_in_print() -> None:
    lost = [
        (name, comparison, method)
        for name in TABLES
        for comparison, column in EXPERIMENTS[name].numbers.items()
        for method, (_, sem) in column.items()
        if sem is None
    ]
    assert lost == [("table3_mnist", ("foreign", "spearman"), "EGrad")]
