from dataclasses import replace

import numpy as np
import pytest
from fake_run import METHODS, STAGES, fake_run

from explaindebug.evaluation.scores import Key, Scores
from explaindebug.report.beside import arm_table, comparisons, half, pooled
from explaindebug.studies.adebayo2020.published import EXPERIMENTS

SPURIOUS, LABELS, REINIT, OOD = fake_run(inputs=1, size=16).tests


def scores_of(**columns: list[float]) -> Scores:
    """Scores of one method, by role."""
    scores = Scores()
    for role, values in columns.items():
        key = Key("t", "grad", "c", role.replace("_", ": "), "ssim")
        scores.add(key, range(len(values)), values)
    return scores


def test_table_2_is_the_ssim_to_both_ground_truths() -> None:
    table = arm_table(SPURIOUS, METHODS)
    assert dict(table.table(METHODS).groups) == {"GT-1, SSIM": 2, "GT-2, SSIM": 2}
    assert "Table 2" in table.caption
    ours = table.column("Bug", ("gt1", "ssim"))["vgrad"]
    values = SPURIOUS.scores[Key("spurious", "vgrad", "gt1", "bug", "ssim")].values
    assert ours.mean == pytest.approx(values.mean())
    assert ours.sem == pytest.approx(values.std(ddof=1) / len(values) ** 0.5)
    assert (ours.n, ours.missing) == (len(values), 0)


def test_a_sweeps_variants_have_the_tables_of_their_test() -> None:
    scores = Scores()
    for key, column in SPURIOUS.scores:
        scores.add(key._replace(test="spurious-2"), *column)
    table = arm_table(replace(SPURIOUS, name="spurious-2", scores=scores), METHODS)
    assert dict(table.table(METHODS).groups) == {"GT-1, SSIM": 2, "GT-2, SSIM": 2}
    assert "Table 2" in table.caption


def test_table_3_has_the_null_beside() -> None:
    table = arm_table(OOD, METHODS)
    assert [c.arm for c in table.columns] == ["Bug", "Control", "Null: shuffled"]
    assert list(table.rows) == list(METHODS)
    assert abs(table.rows["grad"][2].mean) < 0.01
    assert "Table 3" in table.caption


def test_a_cascade_has_three_of_its_stages_and_what_stands_beside_it() -> None:
    assert half(STAGES) == STAGES[3]
    assert half(STAGES[:1]) == STAGES[0]
    scores = Scores() + REINIT.scores
    scores.add(Key("reinit", "grad", "twin", "bug", "spearman"), [0, 1], [0.2, 0.4])
    table = arm_table(replace(REINIT, scores=scores), METHODS, EXPERIMENTS["figure7"])
    assert dict(table.table(METHODS).groups) == {
        "Rank correlation, 1 of 8 stages lost": 1,
        "Rank correlation, 4 of 8 stages lost": 3,
        "Rank correlation, 8 of 8 stages lost": 1,
        "twin, Rank correlation": 3,
        "": 1,  # in the paper's words
    }
    values = REINIT.scores[Key("reinit", "gbp", STAGES[3], "bug", "spearman")].values
    ours = table.column("Ours", (STAGES[3], "spearman"))["gbp"]
    assert ours.mean == pytest.approx(values.mean())
    assert (table.words["gbp"], table.words["grad"], table.words["vgrad"]) == (
        "stays",
        "changes",
        "",
    )


def test_the_papers_numbers_stand_beside_ours_in_its_order() -> None:
    table = arm_table(SPURIOUS, METHODS | {"gbp": "Mine"}, EXPERIMENTS["table2"])
    assert [column.arm for column in table.columns[:3]] == ["Paper", "Ours", "Control"]
    assert list(table.rows) == [
        *("grad", "sgrad", "sgradsq", "vgrad", "inputgrad", "intgrad", "egrad", "deconvnet", "gbp")
    ]
    printed = table.column("Paper", ("gt1", "ssim"))
    assert printed["sgradsq"][:2] == (0.063, 0.0077)
    assert "gbp" not in printed  # the paper has no method of that name


def test_ranges_are_those_of_the_means_and_the_papers_own_where_it_has_only_that() -> None:
    scores = Scores()
    for method, mean in (("grad", 0.4), ("gbp", 0.7), ("vgrad", np.nan)):
        for similarity in ("ssim", "spearman"):
            key = Key("labels", method, "flipped", "bug", similarity)
            scores.add(key, [0, 1], [mean - 0.1, mean + 0.1])
    table = arm_table(replace(LABELS, scores=scores), METHODS, EXPERIMENTS["mislabelled"])
    assert [c.arm for c in table.columns] == ["Paper", "Ours", "Control", "Ours", "Control"]
    assert table.ranges[0] == (0.73, 0.99)
    assert table.ranges[1] == pytest.approx((0.4, 0.7))
    assert table.ranges[2] is None  # no control was scored
    assert table.ranges[3] == pytest.approx((0.4, 0.7))


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
