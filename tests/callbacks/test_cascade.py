"""The cascade as a callback has the same numbers as in the library, and logs them."""

import numpy as np
import pytest
import torch
from lightning_modules import Module, loader, trainer

from explaindebug.callbacks import ReinitCascade
from explaindebug.cascade import Cascade, Smoothing, cascade
from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.results import Headline, TestResult
from explaindebug.report.figures.effects import curve


def validated(path, **options):
    """A callback that has seen one validation, and the images that it explained."""
    torch.manual_seed(0)
    module = Module()
    torch.nn.init.uniform_(module.network.norm.weight, 0.5, 2)  # as if trained
    fixed = {"probe": 6, "strict": True, "pictures": 2, "forward": "network"}
    callback = ReinitCascade(["grad"], **fixed, **options)
    run = trainer(path, [callback])
    run.validate(module, loader(), verbose=False)
    return callback, module.network, callback._intake.whole.image, run.callback_metrics


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({}, Cascade()),
        ({"order": "bottom_up", "draws": 2}, Cascade("bottom_up", draws=2)),
        ({"order": "independent", "init": "glorot"}, Cascade("independent", init="glorot")),
        ({"groups": {"top": ["fc", "conv2"]}}, Cascade(groups={"top": ["fc", "conv2"]})),
        ({"retake": True, "most": 2}, Cascade(retake=True, most=2)),
        ({"smooth": 3, "smooth_noise": 0.2}, Cascade(smoothing=Smoothing(3, 0.2))),
    ],
)
def test_options_are_the_librarys(tmp_path, options, how):
    callback, network, images, _ = validated(tmp_path, **options)
    expected = cascade(network, images, methods=["grad"], how=how, comparison=Comparison())
    found = callback.cascaded
    assert found.stages == expected.stages
    for mine, theirs in (
        (found.scores, expected.scores),
        (found.complexity, expected.complexity),
        (found.drift, expected.drift),
    ):
        assert {key for key, _ in mine} == {key for key, _ in theirs}
        for key, column in theirs:
            np.testing.assert_allclose(mine[key].values, column.values, atol=2e-3)


def test_everything_reaches_the_metrics(tmp_path):
    callback, *_, metrics = validated(tmp_path)
    assert callback.stages == ["fc", "conv2", "norm", "conv1"]
    for key in (
        "debug/reinit/grad/ssim/conv1",
        "debug/reinit_complexity/grad/entropy/fc",
        "debug/reinit_drift/logits/agreement/norm",
    ):
        assert key in metrics


def test_curves_of_figures_count_every_draw(tmp_path):
    callback, *_ = validated(tmp_path, draws=3)
    found = callback.cascaded
    test = TestResult(
        "reinit", "", Headline("fc", "ssim", "down", ""), found.scores, stages=found.stages
    )
    values = [
        column.values
        for key, column in found.scores.select(condition="fc", similarity="ssim")
        if key.role in ("bug", "bug: 2", "bug: 3")
    ]
    mean, spread = curve(test, "grad", "ssim", "bug")
    assert mean[0] == pytest.approx(np.mean(values))
    assert spread[0] == pytest.approx(np.std(np.concatenate(values), ddof=1))
    assert callback._curves(found.scores.select(similarity="ssim"))["grad"][0] == pytest.approx(
        mean[0]
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"retake": True, "target": "label"}, "Remove one of them"),
        ({"smooth": -1}, "smooth .* got -1"),
        ({"noise": 0}, "noise must be .* above 0"),
        ({"bins": 1}, "bins must be .* at least 2"),
        ({"order": "up"}, "unknown order 'up'"),
        ({"init": "glorott"}, "Did you mean 'glorot'"),
    ],
)
def test_misuse_is_a_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ReinitCascade(["grad"], **options)


def test_a_logged_mean_is_that_of_all_draws(tmp_path):
    callback, *_, metrics = validated(tmp_path, draws=3)
    of_draws = [
        column.values.mean()
        for key, column in callback.scores.select(test="reinit", similarity="ssim")
        if key.condition == "fc" and key.role.startswith("bug")
    ]
    assert len(set(of_draws)) == 3
    assert float(metrics["debug/reinit/grad/ssim/fc"]) == pytest.approx(np.mean(of_draws), rel=1e-5)
