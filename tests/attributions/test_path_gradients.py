"""Integrated and expected gradients: completeness, captum, quadrature."""

from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.targets import explained
from explaindebug.attributions.path_gradients import (
    ExpectedGradients,
    IntegratedGradients,
    quadrature,
)
from explaindebug.core.errors import ConfigError

TARGETS = torch.tensor([0, 1, 0, 1, 1])
RULES = ["gauss_legendre", "midpoint", "trapezoid", "right", "inclusive"]


def smooth() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(400, 8),
        nn.Tanh(),
        nn.Linear(8, 2),
    ).double()


def total(maps: Tensor) -> Tensor:
    return maps.sum((1, 2, 3))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 5, 20])
def test_weights_sum_to_one_and_integrate_a_line(rule: Any, steps: int) -> None:
    x, w = quadrature(rule, steps)
    assert w.sum() == pytest.approx(1)
    assert ((x >= 0) & (x <= 1)).all()
    expected = (steps + 1) / (2 * steps) if rule == "right" else 0.5
    assert (w * x).sum() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "error"), [("gauss_legendre", 1e-9), ("midpoint", 1e-3), ("trapezoid", 3e-3)]
)
@pytest.mark.parametrize("baseline", ["zeros", -0.7, torch.full((3, 12, 12), 0.4)], ids=str)
def test_integrated_gradients_sum_to_the_difference_of_the_scores(
    rule: Any, error: float, baseline: Any, images: Tensor
) -> None:
    model, x = smooth(), images.double()
    maps = IntegratedGradients(rule=rule, baseline=baseline)(model, x, TARGETS)
    start = torch.zeros_like(x) + (0 if baseline == "zeros" else baseline)
    with torch.no_grad():
        difference = explained(model, x, TARGETS) - explained(model, start, TARGETS)
    torch.testing.assert_close(total(maps), difference, rtol=0, atol=error)


@pytest.mark.parametrize("rule", ["gauss_legendre", "midpoint", "trapezoid"])
def test_twenty_steps_are_as_exact_as_fifty_of_the_right_sum(rule: Any, images: Tensor) -> None:
    """On a smooth network; with ReLUs the gradient jumps, and no rule is much better."""

    def error(rule: Any, steps: int) -> float:
        return (IntegratedGradients(steps, rule)(model, x, TARGETS) - exact).norm().item()

    model, x = smooth(), images.double()
    exact = IntegratedGradients(1000, "midpoint")(model, x, TARGETS)
    assert error(rule, 20) < error("right", 50) / 5


@pytest.mark.parametrize(
    ("rule", "captums"),
    [
        ("gauss_legendre", "gausslegendre"),
        ("midpoint", "riemann_middle"),
        ("right", "riemann_right"),
        ("trapezoid", "riemann_trapezoid"),
    ],
)
def test_integrated_gradients_equal_captum(rule: Any, captums: str, images: Tensor) -> None:
    model, x = smooth(), images.double()
    theirs = captum.attr.IntegratedGradients(model).attribute(
        x, baselines=0.2, target=TARGETS, n_steps=9, method=captums
    )
    if rule == "trapezoid":  # captum's weights sum to (n - 1) / n
        theirs *= 9 / 8
    ours = IntegratedGradients(9, rule, 0.2)(model, x, TARGETS)
    torch.testing.assert_close(ours, theirs)


def test_both_find_the_weights_of_a_linear_model(images: Tensor, references: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 2)).double()
    images, references = images.double(), references.double()
    weights = model[1].weight[TARGETS].view(5, 3, 12, 12)
    maps = IntegratedGradients(1, "midpoint")(model, images, TARGETS)
    torch.testing.assert_close(maps, weights * images)
    method = ExpectedGradients(samples=2 * len(references)).prepare(model, references)
    maps = method(model, images, TARGETS)
    torch.testing.assert_close(maps, weights * (images - references.mean(0)))


def test_expected_gradients_sum_to_the_mean_difference_in_expectation(
    images: Tensor, references: Tensor
) -> None:
    model, x, references = smooth(), images.double(), references.double()
    with torch.no_grad():
        mean = torch.stack([model(references).mean(0)[target] for target in TARGETS])
        difference = explained(model, x, TARGETS) - mean
    method = ExpectedGradients(samples=24 * 60).prepare(model, references)
    torch.testing.assert_close(
        total(method(model, x, TARGETS)), difference, rtol=0, atol=0.01 * difference.abs().max()
    )


def test_expected_gradients_are_captums_without_noise(images: Tensor, references: Tensor) -> None:
    model, x, references = smooth(), images.double(), references.double()
    np.random.seed(0)  # noqa: NPY002  # captum draws from the global states
    torch.manual_seed(0)
    theirs = captum.attr.GradientShap(model).attribute(
        x, baselines=references, target=TARGETS, n_samples=2000, stdevs=0.0
    )
    ours = ExpectedGradients(samples=2000).prepare(model, references)(model, x, TARGETS)
    assert (ours - theirs).norm() < 0.04 * ours.norm()


def test_expected_gradients_do_not_depend_on_global_randomness(
    network: nn.Module, images: Tensor, references: Tensor
) -> None:
    method = ExpectedGradients(samples=5).prepare(network, references)
    first = method(network, images, TARGETS)
    np.random.default_rng(0)
    torch.manual_seed(123)
    assert torch.equal(first, method(network, images, TARGETS))
    other = ExpectedGradients(samples=5, seed=1).prepare(network, references)
    assert not torch.allclose(first, other(network, images, TARGETS))


def test_expected_gradients_need_references(network: nn.Module, images: Tensor) -> None:
    with pytest.raises(ConfigError, match="references=images"):
        ExpectedGradients()(network, images, TARGETS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be .* at least 1, got 0"),
        ({"steps": 1, "rule": "trapezoid"}, "at least 2, got 1"),
        ({"rule": "simpson"}, "unknown rule 'simpson'.* midpoint"),
        ({"baseline": "black"}, "baseline must be .* got 'black'"),
        ({"baseline": None}, "baseline must be .* got None"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        IntegratedGradients(**options)


def test_a_baseline_of_another_shape_is_refused(network: nn.Module, images: Tensor) -> None:
    method = IntegratedGradients(baseline=torch.zeros(1, 12, 12))
    with pytest.raises(ConfigError, match=r"\(1, 12, 12\), but an image's is \(3, 12, 12\)"):
        method(network, images, TARGETS)
