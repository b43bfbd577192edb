import numpy as np
import pytest

from explaindebug.core.errors import DataError
from explaindebug.evaluation.scores import Key, Scores

GRAD = Key("spurious", "grad", "gt1, soft", "bug", "ssim")
GBP = GRAD._replace(method="gbp")


def table() -> Scores:
    rng = np.random.default_rng(0)
    scores = Scores()
    scores.add(GRAD, [7, 3, 5], rng.standard_normal(3) * [1e-17, 1, 1e9])
    scores.add(GBP, [3, 5], [np.nan, 1 / 3])
    return scores


def test_a_column_is_sorted_by_input_however_it_came() -> None:
    whole, parts = Scores(), Scores()
    whole.add(GRAD, [0, 1, 2, 3], [0.0, 0.1, 0.2, 0.3])
    parts.add(GRAD, [3, 1], [0.3, 0.1])
    parts.add(GRAD, [2, 0], [0.2, 0.0])
    assert whole == parts
    assert parts[GRAD].rows.tolist() == [0, 1, 2, 3]


def test_csv_round_trip_is_exact(tmp_path) -> None:
    scores = table()
    scores.to_csv(tmp_path / "deep" / "scores.csv")
    assert Scores.from_csv(tmp_path / "deep" / "scores.csv") == scores
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["scores.csv"]


def test_a_frame_gives_the_scores_back_in_their_order() -> None:
    frame = table().frame()
    found = Scores.from_frame(frame.assign(more=1).iloc[::-1])
    assert found == table()
    assert list(found) != []
    assert [key for key, _ in Scores.from_frame(frame)] == [GRAD, GBP]
    assert Scores.from_frame(Scores().frame()) == Scores()
    part = Scores.from_frame(frame[frame.method == "gbp"].astype({"role": "category"}))
    assert part == table().select(method="gbp")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("role", "bugs", "bugs"),
        ("similarity", np.nan, "keep_default_na"),
        ("row", 2, "scored twice"),
        ("row", [0.5, 1, 2, 3, 4], "float"),
        ("row", [None, 1, 2, 3, 4], "float"),
        ("value", "high", "high"),
    ],
)
def test_a_frame_that_holds_no_scores_is_refused(column, values, message) -> None:
    with pytest.raises(DataError, match=message):
        Scores.from_frame(table().frame().assign(**{column: values}))
    with pytest.raises(DataError, match=f"lacks {column}"):
        Scores.from_frame(table().frame().drop(columns=column))


def test_a_cut_write_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "scores.csv"
    table().to_csv(path)
    old = path.read_text()
    broken = table()
    broken._columns[GRAD] = (np.arange(2), np.arange(3.0))  # lengths differ: the write fails midway
    with pytest.raises(ValueError, match="zip"):
        broken.to_csv(path)
    assert path.read_text() == old
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "not a table of scores"),
        ("", "not a table"),
        ("{header}\na,b,c,d,e,1,x\n", "line 2"),
    ],
)
def test_a_foreign_or_damaged_file_is_named(tmp_path, text, message) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text.format(header="test,method,condition,role,similarity,row,value"))
    with pytest.raises(DataError, match=message):
        Scores.from_csv(path)


def test_an_input_scored_twice_is_an_error() -> None:
    with pytest.raises(DataError, match=r"input 3 is scored twice for spurious / grad"):
        table() + table().select(method="grad")


def test_lengths_must_fit() -> None:
    with pytest.raises(DataError, match="2 inputs but 3 scores"):
        Scores().add(GRAD, [0, 1], [0.0, 1.0, 2.0])


def test_select_unique_and_sum() -> None:
    scores = table()
    grad, gbp = scores.select(method="grad"), scores.select(method="gbp", role="bug")
    assert [key for key, _ in grad] == [GRAD]
    assert len(gbp) == 1
    assert grad + gbp == scores == gbp + grad
    assert scores.unique("method") == ["grad", "gbp"]
    assert len(scores.select(role="control")) == 0


def test_the_part_of_some_inputs_keeps_their_rows_and_values() -> None:
    scores, key = Scores(), Key("t", "grad", "c", "bug", "ssim")
    scores.add(key, [4, 7, 9], [0.1, 0.2, 0.3])
    part = scores.of([9, 4, 5])[key]
    assert part.rows.tolist() == [4, 9]
    assert part.values.tolist() == [0.1, 0.3]
