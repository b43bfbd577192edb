"""Roles by their parts, as they are written and as they are read."""

import numpy as np
import pytest

from explaindebug.core.errors import DataError
from explaindebug.evaluation.roles import BUG, CONTROL, NULL, Role, null_role
from explaindebug.evaluation.scores import Key, Scores

WRITTEN = {
    "bug": Role(BUG),
    "bug: 2": Role(BUG, 2),
    "control": Role(CONTROL),
    "control: 12": Role(CONTROL, 12),
    "null: gaussian": Role(NULL, null="gaussian"),
    "null: of my own: 3": Role(NULL, null="of my own: 3"),
}


@pytest.mark.parametrize(("text", "role"), WRITTEN.items())
def test_what_is_written_is_read(text: str, role: Role) -> None:
    assert str(role) == text
    assert Role.of(text) == role


@pytest.mark.parametrize(
    "text", ["", "buggy", "bug: ", "bug:2", "bug: 0", "control: two", "null", "null: ", "none"]
)
def test_anything_else_is_no_role(text: str) -> None:
    with pytest.raises(DataError, match="not a role of scores"):
        Role.of(text)


def test_a_key_knows_its_arm_and_its_null() -> None:
    key = Key("ood", "grad", "foreign", null_role("shuffled"))
    assert (key.arm, key.null) == (NULL, "shuffled")
    assert (key._replace(role="bug: 2").arm, key._replace(role="bug: 2").null) == (BUG, "")


def test_a_table_with_a_role_that_is_none_is_refused_with_its_line(tmp_path) -> None:
    scores = Scores()
    scores.add(Key("ood", "grad", "foreign", "bug", "ssim"), np.arange(3), np.zeros(3))
    scores.to_csv(tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text()
    (tmp_path / "scores.csv").write_text(text.replace("bug,ssim,1", "bugs,ssim,1"))
    with pytest.raises(DataError, match=r"line 3: 'bugs' is not a role"):
        Scores.from_csv(tmp_path / "scores.csv")
