"""What is measured at each stage, from first principles."""

import numpy as np
import pytest
import torch
from cascade_networks import images, network
from torch import nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.reinitialisation import reinitialise
from explaindebug.cascade import Cascade, Measurement, Smoothing, cascade
from explaindebug.cascade.api import Cascaded, curve
from explaindebug.core.errors import ConfigError, UnsupportedModelError
from explaindebug.core.isolation import private_copy
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.map_complexity import entropy
from explaindebug.evaluation.postprocessing import PostProcessing
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.similarities import SIMILARITIES

X = images(5)
MODEL = network("plain")
STAGES = ("fc3", "fc2", "fc1", "conv5", "conv4", "conv3", "conv2", "conv1")


def lost(k, draw=0):
    twin = private_copy(MODEL)
    reinitialise(twin, STAGES[:k], seed=0, draw=draw)
    return twin


@pytest.fixture(scope="module")
def found():
    return cascade(MODEL, X, methods=["grad", "gbp"], how=Cascade(draws=2))


@pytest.mark.parametrize(("draw", "role"), [(0, "bug"), (1, "bug: 2")])
def test_scores_are_similarities_to_the_trained_networks_maps(found, draw, role):
    assert found.stages == STAGES
    targets = MODEL(X).argmax(1)
    post = PostProcessing("signed", "sum")
    spearman = SIMILARITIES.build("spearman")
    maps = [Plan(["grad"])(m, X, targets)["grad"] for m in (private_copy(MODEL), lost(3, draw))]
    expected = spearman(*(post(m) for m in maps))
    rows, values = found.scores[Key("reinit", "grad", "fc1", role, "spearman_signed")]
    assert rows.tolist() == list(range(5))
    np.testing.assert_allclose(values, expected.numpy(), atol=1e-4)


def test_complexity_is_the_rise_of_the_entropy(found):
    targets = MODEL(X).argmax(1)
    first, last = (
        entropy(Plan(["gbp"])(m, X, targets)["gbp"]).numpy() for m in (private_copy(MODEL), lost(8))
    )
    column = found.complexity[Key("reinit_complexity", "gbp", "conv1", "bug", "entropy")]
    np.testing.assert_allclose(column.values, (last - first) / first, atol=1e-3)
    second = found.complexity[Key("reinit_complexity", "gbp", "conv1", "bug: 2", "entropy")]
    np.testing.assert_allclose(found.efficient("gbp"), (column.values + second.values) / 2)


def test_drift_is_that_of_the_logits(found):
    before, after = MODEL(X), lost(2)(X)
    agreement = found.drift[Key("reinit_drift", "logits", "fc2", "bug", "agreement")].values
    assert agreement.tolist() == (before.argmax(1) == after.argmax(1)).double().tolist()
    l2 = found.drift[Key("reinit_drift", "logits", "fc2", "bug", "l2")].values
    np.testing.assert_allclose(
        l2, ((after - before).norm(dim=1) / before.norm(dim=1)).numpy(), 1e-4
    )


def test_the_control_and_the_random_map_stand_beside_every_stage(found):
    roles = {"bug", "bug: 2", "control", "null: gaussian"}
    assert {key.role for key, _ in found.scores.select(condition="conv3")} == roles
    control = [
        found.scores[Key("reinit", "grad", stage, "control", "ssim")].values for stage in STAGES
    ]
    assert all(np.array_equal(values, control[0]) for values in control)
    assert 0.3 < control[0].mean() < 1
    null = found.scores[Key("reinit", "grad", "fc3", "null: gaussian", "spearman_signed")]
    assert abs(null.values.mean()) < 0.1


def test_curves_are_over_inputs_and_draws(found):
    mean, spread = curve(found.scores, STAGES, "grad", "ssim")
    values = [
        found.scores[Key("reinit", "grad", "fc1", role, "ssim")].values
        for role in ("bug", "bug: 2")
    ]
    assert mean[2] == pytest.approx(np.mean(values))
    assert spread[2] == pytest.approx(np.std(np.concatenate(values), ddof=1))


def test_a_random_maps_role_is_no_further_draw():
    scores = Scores()
    for role, value in (("bug", 0.2), ("bug: 2", 0.4), ("null: gaussian", 0.9)):
        scores.add(Key("reinit", "grad", "a", role, "ssim"), [0], [value])
    assert curve(scores, ["a", "b"], "grad", "ssim")[0][0] == pytest.approx(0.3)
    assert np.isnan(curve(scores, ["a", "b"], "grad", "ssim")[0][1])


def test_a_twin_is_compared_too():
    torch.manual_seed(3)
    other = type(MODEL)(4, 16).eval()
    found = cascade(MODEL, X, methods=["grad"], how=Cascade(most=1), twins=[other, MODEL])
    first = found.scores[Key("reinit", "grad", "twin", "control", "spearman_signed")]
    same = found.scores[Key("reinit", "grad", "twin", "control: 2", "spearman_signed")]
    assert np.allclose(same.values, 1)
    assert abs(first.values).max() < 0.6


def test_one_input_at_a_time_gives_the_same_scores(found, monkeypatch):
    import explaindebug.cascade.runner as measure

    monkeypatch.setattr(measure, "MEMORY", 1)
    again = cascade(MODEL, X, methods=["grad", "gbp"], how=Cascade(draws=2))
    for key, column in found.scores:
        np.testing.assert_allclose(again.scores[key].values, column.values, atol=1e-3)
    for stage in STAGES:
        assert again.gallery.maps[stage]["gbp"].shape == found.gallery.maps[stage]["gbp"].shape


def test_a_null_of_neighbours_sees_the_next_input_whatever_the_memory(monkeypatch):
    import explaindebug.cascade.runner as measure

    def values():
        comparison = Comparison(["spearman"], nulls=["other"])
        found = cascade(MODEL, X, methods=["grad"], how=Cascade(most=1), comparison=comparison)
        return found.scores[Key("reinit", "grad", "fc3", "null: other", "spearman")].values

    whole = values()
    monkeypatch.setattr(measure, "MEMORY", 1)
    np.testing.assert_allclose(values(), whole, atol=1e-3)
    assert np.isfinite(whole).all()


def test_the_gallery_has_the_trained_network_and_every_stage(found):
    assert list(found.gallery.maps) == ["trained", *STAGES]
    assert found.gallery.maps["fc3"]["grad"].shape == (4, 16, 16)
    assert found.gallery.captions[0] == "input 0"


def test_smooth_scores_are_of_smooth_maps():
    how = Cascade(most=1, smoothing=Smoothing(4, 0.15))
    smooth = cascade(MODEL, X, methods=["grad"], how=how)
    sgrad = cascade(
        MODEL, X, methods=[{"sgrad": {"samples": 4, "noise": 0.15}}], how=Cascade(most=1)
    )
    for role in ("bug", "control"):
        a = smooth.scores[Key("reinit", "grad", "fc3", role, "spearman_signed")].values
        b = sgrad.scores[Key("reinit", "sgrad", "fc3", role, "spearman_signed")].values
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_without_stages_two_draws_of_noise_are_compared():
    found = cascade(MODEL, X, methods=["grad"], how=Cascade(most=0))
    arms = [found.scores.select(condition="none", role=role) for role in ("bug", "control")]
    assert [len(arm) for arm in arms] == [3, 3]
    assert arms[0] != arms[1]


def test_what_was_measured_under_another_tests_name_is_found():
    scores = Scores()
    for test in ("no_drift", "no_drift_drift", "no_drift_complexity", "other"):
        scores.add(Key(test, "m", "a", "bug", "s"), [0], [1.0])
    parts = Cascaded.of(["a"], scores, test="no_drift")
    tests = [part.unique("test") for part in (parts.scores, parts.complexity, parts.drift)]
    assert tests == [["no_drift"], ["no_drift_complexity"], ["no_drift_drift"]]


def test_the_model_and_the_random_state_are_left_alone():
    model = network("residual").train().requires_grad_(True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    cascade(model, X, methods=["grad"], how=Cascade(most=2))
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)


def test_progress_counts_every_state_of_all_inputs():
    told = []
    cascade(
        MODEL, X, methods=["grad"], how=Cascade(most=2), progress=lambda *said: told.append(said)
    )
    assert sum(done >= total for _, done, total in told) == 1 + 2 + 1  # trained, stages, control


def test_misuse_is_a_sentence():
    how, plan, comparison = Cascade(), Plan(["grad"]), Comparison()
    with pytest.raises(ConfigError, match=r"noise must be .* above 0"):
        Measurement(how, plan, comparison, noise=0)
    with pytest.raises(ConfigError, match=r"bins must be .* at least 2"):
        Measurement(how, plan, comparison, bins=1)
    with pytest.raises(UnsupportedModelError, match="ReLU"):
        cascade(nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU(), nn.Flatten()), X, methods=["gbp"])
