import re
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from fake_run import METHODS, STAGES, fake_run, fake_verdicts
from PIL import Image

from explaindebug.evaluation.results import TestResult
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.report.figures import style as plotting
from explaindebug.report.figures.effects import cascade, curve, effects

RUN = fake_run(inputs=1, size=16)
VERDICTS = [v for v in fake_verdicts(RUN) if v.test == "spurious"]
REINIT = next(test for test in RUN.tests if test.name == "reinit")


def drawn_points(axes, marker: str) -> set[tuple[float, float]]:
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines}


def test_effects_are_drawn_where_they_are() -> None:
    means, effect = effects(VERDICTS, METHODS).axes
    assert [label.get_text() for label in means.get_yticklabels()] == list(METHODS.values())
    shown = {(v.effect, y) for y, v in enumerate(VERDICTS) if v.answer == "shows"}
    absent = {(v.effect, y) for y, v in enumerate(VERDICTS) if v.answer == "doesn't"}
    assert drawn_points(effect, "o") == shown
    assert drawn_points(effect, "s") == absent
    assert drawn_points(means, "|") == {(v.null, y) for y, v in enumerate(VERDICTS)}
    ends = {tuple(line.get_xdata()) for line in effect.lines}
    assert {v.interval for v in VERDICTS} <= ends
    (band,) = effect.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.1, 0.2))


def test_a_verdict_without_numbers_leaves_its_line_empty() -> None:
    nan = float("nan")
    empty = replace(
        VERDICTS[0], effect=nan, interval=(nan, nan), bug=nan, control=nan, null=nan, n=0
    )
    means, _ = effects([empty, *VERDICTS[1:]], METHODS).axes
    assert len(means.get_yticks()) == len(VERDICTS)


def test_a_panel_per_method_with_its_mean_and_spread() -> None:
    panels = [axes for axes in cascade(REINIT, METHODS).axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == list(METHODS.values())
    for method, axes in zip(METHODS, panels, strict=True):
        columns = [
            REINIT.scores[Key("reinit", method, stage, "bug", "spearman")].values
            for stage in STAGES
        ]
        bold = max(axes.lines, key=lambda line: line.get_linewidth())
        np.testing.assert_allclose(bold.get_ydata(), np.mean(columns, axis=1))
        (band,) = axes.collections
        top = band.get_paths()[0].vertices[:, 1].max()
        assert top == pytest.approx((np.mean(columns, 1) + np.std(columns, 1, ddof=1)).max())
        (control,), (null,) = (
            [
                line
                for line in axes.lines
                if np.allclose(line.get_ydata(), curve(REINIT, method, "spearman", role)[0])
            ]
            for role in ("control", "null: gaussian")
        )
        assert len({bold, control, null}) == 3


@pytest.mark.parametrize("count", [1, 2, 5, 9, 16])
def test_as_many_panels_as_methods(count) -> None:
    names = {f"m{k}": f"Method {k}" for k in range(count)}
    scores = Scores()
    for method in names:
        for stage in STAGES:
            scores.add(Key("reinit", method, stage, "bug", "spearman"), [0, 1], [0.1, 0.3])
    figure = cascade(replace(REINIT, scores=scores), names)
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert len(visible) == count
    assert len(figure.axes) - count < 3


def test_nan_scores_are_left_out_of_a_curve_and_unknown_stages_break_it() -> None:
    scores = Scores()
    scores.add(Key("t", "grad", "a", "bug", "ssim"), [0, 1, 2], [0.2, np.nan, 0.4])
    test = TestResult("t", "T", REINIT.headline, scores, stages=["a", "b"])
    means, spreads = curve(test, "grad", "ssim", "bug")
    np.testing.assert_allclose(means, [0.3, np.nan])
    np.testing.assert_allclose(spreads, [np.std([0.2, 0.4], ddof=1), np.nan])


def test_svg_is_the_same_every_time_and_follows_the_page() -> None:
    one, two = (
        plotting.svg(cascade(REINIT, METHODS), title='a "<b>"', prefix="p") for _ in range(2)
    )
    assert one == two
    assert one.startswith('<svg class="chart"')
    assert 'aria-label="a &quot;&lt;b&gt;&quot;"' in one
    assert "<style" not in one
    assert "http" not in one
    assert not [colour for colour in plotting.VARIABLES if colour in one]
    assert {"var(--ink)", "var(--accent)", "var(--muted)"} <= set(re.findall(r"var\([^)]*\)", one))
    assert ">SGradSQ</text>" in one  # text stays text


def test_ids_in_svg_are_prefixed_and_every_reference_has_its_target() -> None:
    text = plotting.svg(effects(VERDICTS, METHODS), title="t", prefix="here")
    targets = re.findall(r'\bid="([^"]*)"', text)
    wanted = re.findall(r'(?:url\(#|href="#)([^")]*)', text)
    assert len(targets) == len(set(targets))
    assert set(wanted) == set(targets)
    assert all(name.startswith("here-") for name in targets)


def test_files_for_papers_and_no_trace_in_matplotlib(tmp_path) -> None:
    before = dict(matplotlib.rcParams)
    plotting.save(effects(VERDICTS, METHODS), tmp_path / "deep" / "spurious_effects")
    assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "deep/spurious_effects.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "deep/spurious_effects.png") as picture:
        assert picture.width > 1500
        assert picture.getpixel((2, 2))[:3] == (255, 255, 255)
