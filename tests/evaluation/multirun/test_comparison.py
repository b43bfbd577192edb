import io
import math
from dataclasses import replace

import numpy as np
import pytest
from fake_run import METHODS, fake_run
from rich.console import Console
from run_folders import SETTINGS, shaken, write

from explaindebug.core.errors import DataError
from explaindebug.evaluation.follow_up import answers
from explaindebug.evaluation.multirun.comparison import Line, across, further_lines, lines
from explaindebug.evaluation.multirun.pooling import mean_scores, merged, several
from explaindebug.evaluation.runs import read_run
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.verdicts import verdicts
from explaindebug.report.console.multirun import print_across


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> list:
    folder = tmp_path_factory.mktemp("seeds")
    return [read_run(write(folder / str(seed), seed=seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def rates(tmp_path_factory) -> list:
    """Two rates of flipped labels, two seeds of each."""
    folder = tmp_path_factory.mktemp("rates")
    bugs = [SETTINGS["bug"] | {"labels": {"rate": rate}} for rate in (0.1, 0.4)]
    return [
        read_run(write(folder / f"{i}{seed}", seed=seed, bug=bug))
        for i, bug in enumerate(bugs)
        for seed in (0, 1)
    ]


def by_cell(found) -> dict[tuple[str, str, str], Line]:
    return {(line.test, line.setting, line.method): line for line in lines(found)}


def headline(test, method: str, role: str) -> np.ndarray:
    """The scores that the test's verdict is about."""
    key = Key(test.name, method, test.headline.condition, role, test.headline.similarity)
    return test.scores[key].values


def test_seeds_are_repetitions_of_every_test(seeds) -> None:
    found = across(seeds)
    assert [(v.test, v.setting, len(v.runs)) for v in found.variants] == [
        (test, "", 3) for test in ("spurious", "labels", "reinit", "ood")
    ]
    for i, judged in enumerate(found.together):
        tests = [run.result.tests[i] for run in seeds]
        if not all(gate.passed for gate in tests[0].gates):  # in all three: the first one remains
            tests = tests[:1]
        sign = 1 if tests[0].headline.moves == "up" else -1
        assert list(judged) == list(METHODS)
        for method, verdict in judged.items():
            arms = [[headline(test, method, role) for test in tests] for role in ("bug", "control")]
            known = ~np.isnan(arms).any((0, 1))
            bug, control = (np.array(arm)[:, known].mean() for arm in arms)
            assert verdict.n == known.sum()
            assert verdict.models == (len(tests), len(tests))
            assert verdict.effect == pytest.approx(sign * (bug - control))


def test_a_line_counts_what_runs_say_by_themselves_and_how_much_they_differ(seeds) -> None:
    found = by_cell(across(seeds))
    assert len(found) == 4 * len(METHODS)
    line = found["spurious", "", "sgradsq"]
    alone = [verdicts(run.result.tests) for run in seeds]
    own = [v for table in alone for v in table if (v.test, v.method) == ("spurious", "sgradsq")]
    assert line.runs == line.shows + line.doesnt + line.cant_tell == 3
    assert line.shows == sum(v.answer == "shows" for v in own)
    assert line.effect == pytest.approx(np.mean([v.effect for v in own]))
    assert line.sd == pytest.approx(np.std([v.effect for v in own], ddof=1))


def test_further_questions_are_answered_by_all_runs_together_and_by_each(seeds) -> None:
    found = list(further_lines(across(seeds)))
    assert [(line.condition, line.method) for line in found] == [("gt1", m) for m in METHODS]
    alone = [answers(run.result.tests[0], margin=0.1, level=0.05) for run in seeds]
    line = next(line for line in found if line.method == "sgradsq")
    own = [v for run in alone for v in run if v.method == "sgradsq"]
    assert line.effect == pytest.approx(np.mean([v.effect for v in own]))
    assert line.sd == pytest.approx(np.std([v.effect for v in own], ddof=1))
    assert line.runs == line.shows + line.doesnt + line.cant_tell == 3


def test_void_runs_are_counted_and_left_out(seeds) -> None:
    found = by_cell(across(seeds))
    line = found["ood", "", "grad"]
    assert (line.runs, line.void, line.answer) == (0, 3, "can't tell")
    assert math.isnan(line.sd)


def test_other_settings_stand_side_by_side_in_the_test_that_they_matter_to(rates) -> None:
    found = across(rates)
    assert [(v.test, v.setting, len(v.runs)) for v in found.variants] == [
        ("spurious", "", 2),  # the same under both rates: counted once for each seed
        ("labels", "bug.labels.rate=0.1", 2),
        ("labels", "bug.labels.rate=0.4", 2),
        ("reinit", "", 2),
        ("ood", "", 2),
    ]
    assert {line.runs + line.void for line in lines(found)} == {2}


def test_a_setting_that_matters_to_all_makes_variants_of_all(tmp_path) -> None:
    runs = [read_run(write(tmp_path / n, model={"name": n})) for n in ("resnet18", "vgg16")]
    found = across(runs)
    assert [v.setting for v in found.variants][:2] == ["model.name=resnet18", "model.name=vgg16"]
    assert len(found.variants) == 8
    assert found.variants[0].title == "Spurious background (model.name=resnet18)"


def test_tests_that_only_some_runs_have(tmp_path, seeds) -> None:
    result = shaken(fake_run(inputs=1, size=16), 7)
    other = read_run(write(tmp_path / "a", replace(result, tests=result.tests[:1]), seed=7))
    assert [len(v.runs) for v in across([*seeds, other]).variants] == [4, 3, 3, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"similarities": ["ssim"]}, r"similarities is \['ssim', 'spearman'\] in the first and"),
        ({"postprocessing": {"sign": "signed"}}, "postprocessing.sign is abs in the first and sig"),
        ({"attributions": ["grad"]}, "attributions is"),
        ({"nulls": []}, "nulls is"),
        ({"margin": 0.2}, "margin is 0.1 in the first and 0.2 in the second"),
        ({"probe": 48}, "probe is 95"),
    ],
)
def test_runs_that_measured_otherwise_don_t_belong_together(
    tmp_path, seeds, settings, said
) -> None:
    other = read_run(write(tmp_path / "other", seed=9, **settings))
    with pytest.raises(DataError, match=rf"can't be compared: {said}"):
        across([*seeds, other])


def test_a_verdict_about_another_similarity(tmp_path, seeds) -> None:
    result = fake_run(inputs=1, size=16)
    headline = replace(result.tests[1].headline, similarity="ssim")
    tests = [result.tests[0], replace(result.tests[1], headline=headline)]
    other = read_run(write(tmp_path / "other", replace(result, tests=tests), seed=9))
    with pytest.raises(DataError, match="labels is judged by spearman in the first and by ssim"):
        across([seeds[0], other])


def test_the_same_run_twice_and_one_run(tmp_path, seeds) -> None:
    with pytest.raises(DataError, match=r"are the same run, with seed 0.*Leave one out"):
        across([*seeds, read_run(write(tmp_path / "again", seed=0, workers=2))])
    with pytest.raises(DataError, match="nothing to compare"):
        across(seeds[:1])


def test_merged_scores_are_means_and_keep_what_is_missing() -> None:
    key = Key("ood", "grad", "foreign", "bug", "ssim")
    tables = [Scores(), Scores()]
    tables[0].add(key, [0, 1, 2], [0.0, 0.5, 0.2])
    tables[1].add(key, [1, 2, 3], [0.7, np.nan, 0.4])
    tables[1].add(key._replace(role="control"), [1], [0.5])
    found = mean_scores(tables, "ood-2")
    assert len(found) == 1
    rows, values = found[key._replace(test="ood-2")]
    assert rows.tolist() == [1, 2]
    assert values[0] == pytest.approx(0.6)
    assert np.isnan(values[1])


def test_a_merged_run_has_a_test_for_each_variant_and_its_verdicts(rates) -> None:
    found = across(rates)
    run, judged, further = merged(found, {})
    names = ["spurious", "labels-2", "labels-3", "reinit", "ood"]
    assert [test.name for test in run.tests] == names
    assert {v.test for v in judged} == set(names)
    assert [len(test.questions) for test in run.tests] == [1, 0, 0, 0, 0]
    assert {(v.test, v.condition) for v in further} == {("spurious", "gt1")}
    for test in run.tests:
        assert set(test.scores.unique("test")) == {test.name}
    assert len(run.tests[0].gates) == 4  # two runs have two each
    assert len(run.tests[-1].gates) == 1  # all are void: the first one's say so
    (own,) = [v for v in judged if (v.test, v.method) == ("labels-3", "vgrad")]
    column = run.tests[2].scores[Key("labels-3", "vgrad", "flipped", "bug", "spearman")]
    assert column.values.mean() == pytest.approx(own.bug)


def test_each_runs_verdicts_stand_beside_the_merged_ones(rates) -> None:
    found = across(rates)
    _, judged, further = merged(found, {})
    beside = several(found)
    each = beside.verdicts
    assert beside.answers.keys() == {(v.test, v.condition, v.method) for v in further}
    assert each.keys() == {(v.test, v.method) for v in judged}
    assert len(each["labels-3", "vgrad"]) == len(found.variants[2].runs)
    assert each["labels-3", "vgrad"] == found.alone[2]["vgrad"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_console_has_effect_spread_and_count(seeds, encoding) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    found = across(seeds)
    print_across(found, Console(file=file, width=120))
    file.seek(0)
    text = file.read()
    line = by_cell(found)["spurious", "", "sgradsq"]
    assert f"shows {line.shows}/3" in text
    between = "±" if encoding == "utf-8" else "+/-"
    assert f"+{line.effect:.2f} {between} {line.sd:.2f}" in text
    assert "ood: 3 of 3 runs are void." in text
    for name in METHODS.values():
        assert f"\n{name} " in text
