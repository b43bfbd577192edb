import json
import math
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from fake_run import fake_run
from run_folders import write

from explaindebug.core.errors import DataError
from explaindebug.core.io import as_json
from explaindebug.evaluation.detection import Detector
from explaindebug.evaluation.follow_up import answers
from explaindebug.evaluation.results import Gate, Headline, Layout, Verdict
from explaindebug.evaluation.runs import SCHEMA_VERSION, read_run, results_schema
from explaindebug.evaluation.scores import Key
from explaindebug.evaluation.unscored import Fault, Unscored
from explaindebug.evaluation.verdicts import verdicts


def test_what_is_read_is_what_was_written(tmp_path) -> None:
    result = fake_run(inputs=1, size=16)
    result.tests[0].clusters = {row: f"photo {row // 2}" for row in range(95)}
    result.tests[0].same_network = True
    result.tests[1].lacks, result.tests[1].asked = "No twin was given.", ("absent",)
    found = read_run(write(tmp_path / "a", result)).result
    assert found.methods == result.methods
    assert found.accuracies == result.accuracies
    for mine, written in zip(found.tests, result.tests, strict=True):
        assert mine.scores == written.scores
        assert mine.headline == written.headline
        assert list(mine.gates) == list(written.gates)
        assert mine.clusters == written.clusters
        assert mine.same_network is written.same_network
        assert (mine.lacks, tuple(mine.asked)) == (written.lacks, tuple(written.asked))
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
    with pytest.raises(DataError, match=r"interrupted run: start it again with the same output="):
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
    (one / "results.json").write_text('{"schema_version": 1, "tests": [{}]}')
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


def reject(token: str) -> None:
    raise AssertionError(f"{token} is no JSON")


def test_results_are_valid_json_and_as_the_schema_says(tmp_path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    result = fake_run(inputs=1, size=16)
    hole = Unscored(Key("labels", "grad", "flipped", "control: 2"), Fault.MAP_CONSTANT, (3, 5))
    result.tests[1].unscored = [hole]
    result.tests[2].agreement = {"top 1": 0.5, "top 2": math.nan}
    result.tests[2].gates = [Gate("a", math.nan, -math.inf, "?")]
    folder = write(tmp_path / "a", result)
    for name in ("results.json", "run.json"):
        told = json.loads((folder / name).read_text(), parse_constant=reject)
    told = json.loads((folder / "results.json").read_text())
    schema = results_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(told)] == []
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    for broken in ({"schema_version": 2}, {"verdicts": [{}]}, {"detectors": [math.nan]}):
        assert not validator.is_valid(told | broken)
    found = read_run(folder).result.tests
    assert found[1].unscored == [hole]
    assert found[2].agreement["top 1"] == 0.5
    assert math.isnan(found[2].agreement["top 2"])
    assert math.isnan(found[2].gates[0].value)
    assert found[2].gates[0].least == -math.inf


@pytest.mark.parametrize(
    ("name", "record"),
    [("verdict", Verdict), ("headline", Headline), ("layout", Layout), ("detector", Detector)],
)
def test_the_schema_has_every_field(name, record) -> None:
    own = results_schema()["$defs"][name]
    assert list(own["properties"]) == own["required"] == [f.name for f in fields(record)]
    assert set(results_schema()["$defs"]["unscored"]["properties"]["fault"]["enum"]) == {
        fault.id for fault in Fault
    }


@pytest.mark.parametrize(("version", "words"), [(0, "an older"), (2, "a newer"), ("x", "an older")])
def test_a_file_of_another_schema_is_refused(tmp_path, version, words) -> None:
    path = write(tmp_path / "a") / "results.json"
    told = json.loads(path.read_text()) | {"schema_version": version}
    path.write_text(json.dumps(told))
    with pytest.raises(DataError, match=rf"{words} version.*schema {version}, .*reads 1"):
        read_run(tmp_path / "a")


class Color(Enum):
    RED = "red"


def test_values_of_all_kinds_have_a_form_in_json() -> None:
    given = {1: (np.float32(0.5), np.int64(3), np.bool_(True)), "a": np.array([math.nan, 1.0])}
    given |= {"b": Path("x"), "c": Color.RED, "d": [-math.inf, None, True, "NaN"]}
    assert json.loads(json.dumps(as_json(given), allow_nan=False)) == {
        **{"1": [0.5, 3, True], "a": [None, 1.0], "b": "x", "c": "red"},
        "d": ["-Infinity", None, True, "NaN"],
    }
