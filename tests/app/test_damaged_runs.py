"""Runs whose files are damaged are refused in a sentence, and never compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import write

from explaindebug.core.errors import DataError
from explaindebug.evaluation.runs import read_run

Damage = Callable[[Path], None]


def half_of_the_scores(folder: Path) -> None:
    path = folder / "scores.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))


def a_row_less(folder: Path) -> None:
    path = folder / "scores.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:7] + lines[8:]))


def no_rows(folder: Path) -> None:
    path = folder / "scores.csv"
    path.write_text(path.read_text().partition("\n")[0] + "\n")


def another_value(folder: Path, value: str = "17.5") -> None:
    path = folder / "scores.csv"
    lines = path.read_text().splitlines(keepends=True)
    start = lines[9].rpartition(",")[0]
    path.write_text("".join([*lines[:9], f"{start},{value}\n", *lines[10:]]))


def a_nan_more(folder: Path) -> None:
    another_value(folder, "nan")


def no_scores(folder: Path) -> None:
    (folder / "scores.csv").unlink()


def binary_scores(folder: Path) -> None:
    (folder / "scores.csv").write_bytes(b"\xff\xfe\x00" * 40)


def cut_results(folder: Path) -> None:
    path = folder / "results.json"
    path.write_text(path.read_text()[:900])


def changed(key: str, value: Any, name: str = "results.json") -> Damage:
    """Damage that replaces the value of one key in a file."""

    def damage(folder: Path) -> None:
        path = folder / name
        found = json.loads(path.read_text())
        path.write_text(json.dumps({**found, key: value}))

    damage.__name__ = f"{name}_{key}_{type(value).__name__}"
    return damage


def another_kind(folder: Path) -> None:
    (folder / "results.json").write_text("[1, 2]")


def settings_lost(folder: Path) -> None:
    (folder / "run.json").write_text("{}")


DAMAGES: tuple[Damage, ...] = (
    *(half_of_the_scores, a_row_less, no_rows, another_value, a_nan_more, no_scores),
    *(binary_scores, cut_results, another_kind, settings_lost),
    *(changed("tests", value) for value in (None, 5, "text", [5], ["text"], [{}], {})),
    *(changed("methods", value) for value in (None, 5, ["grad"])),
    *(changed("accuracies", value) for value in (None, 5, [["clean", "test", 7.0]])),
    *(changed("facts", value) for value in (None, [1])),
    *(changed("detectors", value) for value in (None, [{"test": "labels"}])),
    *(changed("made", value) for value in (5, [1])),
    *(changed("settings", value, "run.json") for value in (None, 5, {}, {"seed": 0})),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs") / "a")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_run_is_refused_by_name(damage: Damage, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    read_run(copy)
    damage(copy)
    with pytest.raises(DataError) as caught:
        read_run(copy)
    assert str(copy) in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_order_of_keys_is_no_damage(folder: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy")
    head, *lines = (copy / "scores.csv").read_text().splitlines(keepends=True)
    (copy / "scores.csv").write_text("".join([head, *reversed(lines)]))
    assert read_run(copy).result.tests[0].scores == read_run(folder).result.tests[0].scores
