"""A setting at several levels: what counts as a sweep, and from where on methods show the bug."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import write

from explaindebug.evaluation.multirun.comparison import Across, across
from explaindebug.evaluation.multirun.sweeps import sweeps
from explaindebug.evaluation.results import Gate, Headline, RunResult, TestResult
from explaindebug.evaluation.runs import Run, read_run
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.report.figures.sweep import sweep_figure

METHODS = {"grad": "Grad", "gbp": "GBP", "vgrad": "VGrad"}
STEEP = {"grad": 0.5, "gbp": 2.0, "vgrad": 0.0}  # effect per unit of the fraction
FRACTIONS = (1.0, 0.0, 0.5, 0.2)  # in the order in which somebody gave them


def result(fraction: float, seed: int) -> RunResult:
    """A run whose methods see a signal in proportion to its share, and learn it from 0.2 on."""
    rng, scores = np.random.default_rng((seed, int(100 * fraction))), Scores()
    for method, slope in STEEP.items():
        base = rng.normal(0.3, 0.02, 60)
        for role, shift in {"bug": slope * fraction, "control": 0.0}.items():
            values = base + shift + rng.normal(0, 0.01, 60)
            scores.add(Key("spurious", method, "share", role, "background"), np.arange(60), values)
    gate = Gate("spurious score", min(1.0, 5 * fraction), 0.85, "it was not learned")
    headline = Headline("share", "background", "up", "Is it?")
    test = TestResult("spurious", "Spurious tag", headline, scores, gates=[gate])
    return RunResult([test], METHODS, [], {})


def swept(folder: Path, fractions: tuple[float, ...] = FRACTIONS, **settings: object) -> list[Run]:
    runs = []
    for i, fraction in enumerate(fractions):
        for seed in (0, 1):
            bug = {"spurious": {"fraction": fraction}}
            name = f"{i}-{seed}-{len(settings)}-{settings}".replace("/", "")
            path = write(folder / name, result(fraction, seed), seed=seed, bug=bug, **settings)
            runs.append(read_run(path))
    return runs


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Across:
    return across(swept(tmp_path_factory.mktemp("sweep")))


def test_variants_come_in_the_order_of_the_number_and_under_a_short_name(found) -> None:
    assert [v.title for v in found.variants] == [
        f"Spurious tag (fraction={fraction})" for fraction in sorted(FRACTIONS)
    ]
    assert {len(v.runs) for v in found.variants} == {2}
    assert found.variants[0].setting == "bug.spurious.fraction=0.0"


def test_a_number_at_three_or_more_values_is_a_sweep(found) -> None:
    (sweep,) = sweeps(found)
    assert (sweep.name, sweep.setting) == ("Spurious tag over fraction", "fraction")
    assert [level.value for level in sweep.levels] == sorted(FRACTIONS)
    assert [level.void for level in sweep.levels] == [True, False, False, False]
    assert [len(level.gates) for level in sweep.levels] == [2] * 4


def test_it_is_said_from_where_on_a_method_shows_it(found, sentence) -> None:
    (sweep,) = sweeps(found)
    assert [sweep.shown_from(m) for m in METHODS] == [0.5, 0.2, None]
    assert sweep.learned_from() == 0.2
    sentence("from different levels on", sweep.sentence(METHODS))
    sentence("no method", sweep.sentence({"vgrad": "VGrad"}))
    last = replace(sweep, levels=sweep.levels[:3])
    assert last.shown_from("grad") == 0.5
    sentence("at the last level", last.sentence(METHODS))


def test_two_values_or_words_are_none(tmp_path) -> None:
    assert not sweeps(across(swept(tmp_path, (0.2, 1.0))))
    models = [{"name": name} for name in ("a", "b", "c")]
    runs = [run for model in models for run in swept(tmp_path, (0.5,), model=model)]
    assert len(across(runs).variants) == 3
    assert not sweeps(across(runs))


def test_other_settings_make_sweeps_of_their_own(tmp_path) -> None:
    runs = [
        run for name in ("a", "b") for run in swept(tmp_path, (0.2, 0.5, 1.0), model={"name": name})
    ]
    assert [(s.title, len(s.levels)) for s in sweeps(across(runs))] == [
        ("Spurious tag (model.name=a)", 3),
        ("Spurious tag (model.name=b)", 3),
    ]


def test_the_figure_has_each_effect_at_its_value_and_what_the_gate_measured(found) -> None:
    (sweep,) = sweeps(found)
    figure = sweep_figure(sweep, METHODS)
    *panels, gate = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == list(METHODS.values())
    for axes, method in zip(panels, METHODS, strict=True):
        curves = [line for line in axes.lines if len(line.get_xdata()) == len(FRACTIONS)]
        assert list(curves[-1].get_xdata()) == sorted(FRACTIONS)
        effects = [level.verdicts[method].effect for level in sweep.levels]
        assert list(curves[-1].get_ydata()) == pytest.approx(effects)
    assert gate.get_title(loc="left") == "gate: spurious score"
    assert any(list(line.get_ydata()) == [0.85, 0.85] for line in gate.lines)


def test_without_a_gate_there_is_no_panel_of_it(found) -> None:
    (sweep,) = sweeps(found)
    bare = replace(sweep, levels=[replace(level, gates=()) for level in sweep.levels])
    visible = [axes for axes in sweep_figure(bare, METHODS).axes if axes.get_visible()]
    assert len(visible) == len(METHODS)
