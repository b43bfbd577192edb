from dataclasses import replace

import numpy as np
import pytest
from fake_run import METHODS, STAGES, fake_run

from explaindebug.report.tables import comparisons, paper_table, pooled
from explaindebug.scores import Key, Scores

SPURIOUS, LABELS, REINIT, OOD = fake_run(inputs=1, size=16).tests


def scores_of(**columns: list[float]) -> Scores:
    """Scores of one method, by role."""
    scores = Scores()
    for role, values in columns.items():
        key = Key("t", "grad", "c", role.replace("_", ": "), "ssim")
        scores.add(key, range(len(values)), values)
    return scores


def test_table_2_is_the_ssim_to_both_ground_truths() -> None:
    table = paper_table(SPURIOUS, METHODS)
    assert table.comparisons == ("GT-1, SSIM", "GT-2, SSIM")
    assert "Table 2" in table.caption
    bug, control = table.rows["vgrad"][:2]
    values = SPURIOUS.scores[Key("spurious", "vgrad", "gt1", "bug", "ssim")].values
    assert bug.mean == pytest.approx(values.mean())
    assert bug.sem == pytest.approx(values.std(ddof=1) / len(values) ** 0.5)
    assert (control.condition, control.role) == ("gt1", "control")


def test_table_3_has_the_null_beside() -> None:
    table = paper_table(OOD, METHODS)
    assert table.arms == ("Bug", "Control", "Null")
    assert list(table.rows) == list(METHODS)
    assert abs(table.rows["grad"][2].mean) < 0.01
    assert "Table 3" in table.caption
    assert "the null is shuffled" in table.caption


def test_a_cascade_has_no_table_but_its_twin_has() -> None:
    assert paper_table(REINIT, METHODS) is None
    scores = Scores() + REINIT.scores
    scores.add(Key("reinit", "grad", "twin", "bug", "spearman"), [0, 1], [0.2, 0.4])
    assert comparisons(replace(REINIT, scores=scores)) == {("twin", "spearman"): "Rank correlation"}
    assert len(STAGES) > 1


def test_other_similarities_stay_out() -> None:
    scores = Scores()
    for similarity in ("cosine", "spearman", "ssim(window=7)"):
        scores.add(Key("labels", "grad", "flipped", "bug", similarity), [0, 1], [0.2, 0.4])
    assert list(comparisons(replace(LABELS, scores=scores)).values()) == [
        "SSIM(window=7)",
        "Rank correlation",
    ]


def test_an_arms_models_are_averaged_input_by_input() -> None:
    scores = pooled(scores_of(control=[0.0, 0.2, np.nan], control_2=[0.4, 0.4, 1.0]))
    ((key, column),) = scores
    assert key.role == "control"
    np.testing.assert_allclose(column.values, [0.2, 0.3, np.nan])


def test_models_are_averaged_over_the_inputs_that_all_have() -> None:
    ((_, column),) = pooled(scores_of(bug=[0.1, 0.3], bug_2=[0.3]))
    assert column.rows.tolist() == [0]
    np.testing.assert_allclose(column.values, [0.2])


def test_nulls_are_not_mixed() -> None:
    both = {"null: gaussian": [0.1], "null: edges": [0.9]}
    assert set(pooled(scores_of(**both)).unique("role")) == set(both)
