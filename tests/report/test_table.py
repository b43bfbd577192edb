"""Tables once for all media: what each medium makes of the same cells."""

import io
import math
import re

import pytest
from fake_run import fake_run
from rich.console import Console

from explaindebug.evaluation.follow_up import answers
from explaindebug.report import table as tables
from explaindebug.report.console.detection import print_detectors
from explaindebug.report.console.follow_ups import print_questions
from explaindebug.report.console.tables import drawn, plainly
from explaindebug.report.html.write import _environment
from explaindebug.report.markdown import lines
from explaindebug.report.table import Cell, Column, Row, Table

TABLE = Table(
    "A caption",
    [
        Column("Method"),
        Column("Ours", "as measured", group="SSIM", first=True),
        Column("Null: noise", group="SSIM", aside=True, wide=True),
        Column("Ours", group="Ranks", first=True),
        Column("Said", word=True),
    ],
    [
        Row(
            "Grad|x",
            [
                tables.mean_sem(-0.0634, 0.0077, 2),
                tables.number(math.nan),
                tables.number(0.5),
                Cell("+0.10", "[0, 1]", 2000.1, "shows", "because"),
            ],
            "grad",
        ),
        Row("GBP", [Cell("no score")], "gbp"),
    ],
    Row("All methods", [*map(tables.between, [(0.05, 0.5), None, (0.5, 0.5)]), Cell("")]),
)


def page(table: Table, kind: str = "sortable") -> str:
    macro = _environment().get_template("table.html.jinja").module.draw
    return str(macro(table, kind))


def terminal(table: Table, **options) -> str:
    file = io.StringIO()
    Console(file=file, width=80).print(drawn(table, **options))
    return file.getvalue()


def test_numbers_are_sorted_by_what_they_are_and_not_by_how_they_look() -> None:
    """A minus sign is no hyphen: JavaScript takes "−0.06" for a word."""
    cells = re.findall(r"<td([^>]*)>(−[^<]*)</td>", page(TABLE))
    assert cells == [
        (' class="first" data-v="-0.0634"', "−0.063 ±\N{NO-BREAK SPACE}0.0077 (2 NaN)")
    ]
    assert "data-v" not in page(TABLE, "all")


def test_a_page_has_groups_meanings_reasons_and_who_a_row_is_about() -> None:
    text = page(TABLE)
    assert '<th scope="colgroup" colspan="2">SSIM</th>' in text
    assert '<abbr title="as measured">Ours</abbr>' in text
    assert re.search(r'<td class="word" data-v="2000.1" title="because">.*\+0.10 \[0, 1\]', text)
    assert '<tr data-m="grad"><th scope="row">Grad|x</th>' in text
    assert '<td class="muted">–</td>' in text


def test_a_row_with_fewer_cells_goes_on_to_the_end_of_a_page_and_is_left_out_of_terminals() -> None:
    assert '<td class="word" colspan="4">no score</td></tr>' in page(TABLE)
    assert "GBP" not in terminal(TABLE)


def test_a_terminal_has_no_notes_and_no_wide_columns() -> None:
    said = terminal(TABLE, title="of whom")
    assert said.startswith("of whom")
    assert "−0.063" in said
    assert "● shows      +0.10" in said
    for left_out in ("0.0077", "noise", "[0, 1]"):
        assert left_out not in said
    assert "0.050 to 0.50" in said


def test_markdown_names_groups_where_they_begin_and_keeps_bars() -> None:
    head, _, grad, _, foot, _ = lines(TABLE)
    assert head == "| Method | SSIM: ours | null: noise | Ranks: ours | said |"
    assert grad == r"| Grad\|x | −0.063 ± 0.0077 (2 NaN) | – | 0.50 | shows +0.10 [0, 1] |"
    assert foot == "| *all methods* | 0.050 to 0.50 | – | 0.50 to 0.50 |  |"


@pytest.mark.parametrize(
    ("widest", "parts"),
    [
        (3, [["Ours", "Null: noise", "Ours", "Said"]]),
        (2, [["Ours", "Null: noise", "Said"], ["Ours"]]),
    ],
)
def test_a_wide_table_is_parted_between_groups_and_words_stay_in_the_first(widest, parts) -> None:
    found = TABLE.parts(widest)
    assert [[column.name for column in part.columns[1:]] for part in found] == parts
    assert all(len(row.cells) == len(part.columns) - 1 for part in found for row in part.rows)


def test_a_table_without_groups_is_one_part() -> None:
    (part,) = Table("", [Column("Method"), Column("n")], [Row("Grad", [Cell("3")])]).parts(1)
    assert [column.name for column in part.columns] == ["Method", "n"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_all_tables_have_plain_signs_where_a_terminal_has_no_others(encoding) -> None:
    run = fake_run(inputs=1, size=16)
    further = [v for test in run.tests for v in answers(test, margin=0.1, level=0.05)]
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=100)
    print_questions(run, further, console)
    print_detectors(run, console)
    plainly(console, lambda where: where.print("0.5 ± 0.1"))
    file.seek(0)
    said = file.read()
    assert "+ shows      +0.19" in said
    assert "? can't tell -0.03" in said
    assert "0.5 +/- 0.1" in said
    assert "?0" not in said
