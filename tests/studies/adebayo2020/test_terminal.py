"""The paper's table in a terminal: each verdict once, beside what it is about."""

import io
from pathlib import Path

import paper_runs
from rich.console import Console

from explaindebug.studies.adebayo2020.console import print_paper

PAIR = {"Grad": (0.5, 0.01), "GBP": (0.9, 0.01)}


def printed(folder: Path) -> str:
    columns = {
        (condition, role, similarity): PAIR
        for condition in ("flipped", "unflipped")
        for role in ("bug", "control", "null: gaussian", "null: shuffled")
        for similarity in ("ssim", "spearman")
    }
    said = io.StringIO()
    entry = paper_runs.entry(folder / "run", "mislabelled", columns)
    print_paper(entry, Console(file=said, width=140))
    return said.getvalue()


def test_verdicts_stand_beside_the_comparison_that_they_are_about(tmp_path: Path) -> None:
    flipped, unflipped = printed(tmp_path).split("unflipped, SSIM")
    assert flipped.count("Shows the bug?") == 2
    assert "Shows the bug?" not in unflipped
    assert "unflipped, Rank correlation" in unflipped
    assert unflipped.count("0.90") >= 2


def test_what_the_paper_says_in_words_has_a_column_where_it_says_it(tmp_path: Path) -> None:
    assert "Paper says" not in printed(tmp_path)
    columns = {("top 1", "bug", "spearman"): PAIR}
    said = io.StringIO()
    entry = paper_runs.entry(tmp_path / "seven", "figure7", columns, stages=("top 1",))
    print_paper(entry, Console(file=said, width=140))
    assert "Paper says" in said.getvalue()
    assert "changes" in said.getvalue()
