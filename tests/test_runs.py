from dataclasses import replace

import pytest
from fake_run import fake_run
from run_folders import write

from explaindebug.errors import DataError
from explaindebug.followup import answers
from explaindebug.runs import read_run
from explaindebug.verdicts import verdicts


def test_what_is_read_is_what_was_written(tmp_path) -> None:
    result = fake_run(inputs=1, size=16)
    result.tests[0].clusters = {row: f"photo {row // 2}" for row in range(95)}
    found = read_run(write(tmp_path / "a", result)).result
    assert found.methods == result.methods
    assert found.accuracies == result.accuracies
    for mine, written in zip(found.tests, result.tests, strict=True):
        assert mine.scores == written.scores
        assert mine.headline == written.headline
        assert list(mine.gates) == list(written.gates)
        assert mine.clusters == written.clusters
        assert list(mine.questions) == list(written.questions)
        assert repr([*mine.detectors]) == repr([*written.detectors])  # some numbers are NaN
        assert (mine.name, mine.title, mine.facts) == (written.name, written.title, written.facts)
    assert any(test.detectors for test in found.tests)
    assert repr(verdicts(found.tests)) == repr(verdicts(result.tests))  # NaN is not equal to NaN
    options = {"margin": 0.1, "level": 0.05}
    mine, written = (answers(run.tests[0], **options) for run in (found, result))
    assert mine
    assert repr(mine) == repr(written)


def test_settings_are_dotted_keys(tmp_path) -> None:
    run = read_run(write(tmp_path / "a", seed=3))
    assert run.settings["seed"] == 3
    assert run.settings["bug.labels.rate"] == 0.1


def test_a_folder_without_a_run(tmp_path) -> None:
    with pytest.raises(DataError, match="holds no run of explaindebug"):
        read_run(tmp_path)


def test_a_run_that_was_cut(tmp_path) -> None:
    (write(tmp_path / "a") / "results.json").unlink()
    with pytest.raises(DataError, match="cut before its end: start it again with the same output"):
        read_run(tmp_path / "a")


@pytest.mark.parametrize("name", ["results.json", "run.json"])
def test_a_damaged_file_is_named(tmp_path, name) -> None:
    (write(tmp_path / "a") / name).write_text("{")
    with pytest.raises(DataError, match=rf"{name} can't be read"):
        read_run(tmp_path / "a")


def test_files_of_two_runs(tmp_path) -> None:
    one, other = write(tmp_path / "a"), write(tmp_path / "b")
    (one / "scores.csv").write_text((other / "scores.csv").read_text().replace("0.", "x", 1))
    with pytest.raises(DataError, match="line 2"):
        read_run(one)
    (one / "results.json").write_text('{"tests": [{}]}')
    with pytest.raises(DataError, match=r"line 2|don't fit together"):
        read_run(one)


def test_a_run_of_an_older_version(tmp_path) -> None:
    (write(tmp_path / "a") / "results.json").write_text('{"verdicts": []}')
    with pytest.raises(DataError, match=r"older version.*Run it again \(train.py\)"):
        read_run(tmp_path / "a")


def test_galleries_are_not_kept(tmp_path) -> None:
    result = fake_run(inputs=1, size=16)
    assert result.tests[0].galleries
    found = read_run(write(tmp_path / "a", replace(result, tests=result.tests[:1]))).result
    assert not found.tests[0].galleries
