"""SmoothGrad, its square and VarGrad: against a plain loop and captum's statistics."""

from dataclasses import replace

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from explaindebug.attributions import attribute
from explaindebug.attributions.gradient import gradient
from explaindebug.attributions.smoothgrad import Moments, SmoothGrad, SmoothGradSquared, VarGrad
from explaindebug.core.errors import ConfigError
from explaindebug.core.rng import normal

TARGETS = torch.tensor([0, 1, 0, 1, 0])


def loop(model: nn.Module, images: Tensor, samples: int, noise: float, seed: int) -> Tensor:
    """Every noisy gradient (samples, n, c, h, w), one image and one draw at a time."""
    model.requires_grad_(False)
    return torch.stack(
        [
            torch.cat(
                [
                    gradient(
                        model,
                        x[None] + noise * (x.max() - x.min()) * normal(seed, draw, x[None]),
                        target[None],
                    )
                    for x, target in zip(images, TARGETS, strict=True)
                ]
            )
            for draw in range(samples)
        ]
    )


@pytest.mark.parametrize("samples", [2, 7])
def test_all_equal_a_plain_loop(samples: int, network: nn.Module, images: Tensor) -> None:
    network, images = network.double(), images.double()
    every = loop(network, images, samples, 0.2, seed=3)
    how = {"samples": samples, "noise": 0.2, "seed": 3}
    for method, expected in {
        SmoothGrad(**how): every.mean(0),
        SmoothGradSquared(**how): (every**2).mean(0),
        SmoothGradSquared(**how, variant="square_of_mean"): every.mean(0) ** 2,
        VarGrad(**how): every.var(0, correction=0),
    }.items():
        torch.testing.assert_close(method(network, images, TARGETS), expected)


@pytest.mark.parametrize(
    ("method", "kind"),
    [(SmoothGrad(), "smoothgrad"), (SmoothGradSquared(), "smoothgrad_sq"), (VarGrad(), "vargrad")],
)
def test_all_are_captums_statistics(method: SmoothGrad, kind: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    spread = 0.3 * (x.max() - x.min()).item()
    ours = replace(method, samples=4000, noise=0.3)(model, x, torch.tensor([1]))
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    theirs = tunnel.attribute(x, target=1, abs=False, nt_type=kind, nt_samples=4000, stdevs=spread)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.06 * theirs.abs().max().item())


def test_the_variance_is_never_negative_and_loses_no_digits() -> None:
    moments = Moments(torch.zeros(3))
    samples = 1e4 + 1e-1 * torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    for sample in samples:
        moments.add(sample)
    expected = samples.double().var(0, correction=0)
    torch.testing.assert_close(moments.variance.double(), expected, rtol=1e-2, atol=0)
    constant = Moments(torch.zeros(()))
    for _ in range(100):
        constant.add(torch.tensor(0.1))
    assert constant.variance == 0


def test_a_noisy_image_of_one_colour_stays_as_it_is(network: nn.Module) -> None:
    flat = torch.full((1, 3, 12, 12), 0.3)
    assert VarGrad()(network, flat, TARGETS[:1]).abs().max() == 0


def test_another_seed_gives_other_noise(network: nn.Module, images: Tensor) -> None:
    a, b = (SmoothGrad(samples=3, seed=seed)(network, images, TARGETS) for seed in (0, 1))
    assert not torch.allclose(a, b)


def test_draws_differ_from_each_other_and_not_from_call_to_call() -> None:
    like = torch.zeros(2, 3, 16, 16)
    first, second = normal(0, 0, like), normal(0, 1, like)
    assert torch.equal(first, normal(0, 0, like))
    assert torch.equal(first, normal(0, 0, like[:1]))
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.1


def test_the_three_share_one_set_of_passes(images: Tensor) -> None:
    class Counting(nn.Module):
        seen = 0

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(432, 2)

        def forward(self, x: Tensor) -> Tensor:
            type(self).seen += len(x)
            return self.head(x.flatten(1))

    def passes(methods: list[str]) -> int:
        Counting.seen = 0
        attribute(
            Counting(),
            images,
            targets=0,
            methods=[{name: {"samples": 6}} for name in methods],
            workers=1,
        )
        return Counting.seen

    assert passes(["sgrad", "sgradsq", "vgrad"]) < passes(["sgrad"]) + 10


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        (SmoothGrad, {"samples": 0}, "samples must be .* at least 1, got 0"),
        (SmoothGrad, {"samples": 2.5}, "samples must be a whole number"),
        (VarGrad, {"samples": 1}, "at least 2, got 1"),
        (SmoothGrad, {"noise": -0.1}, "noise must be a finite number above 0 .* got -0.1"),
        (SmoothGrad, {"noise": float("nan")}, "noise must be a finite number above 0 .* got nan"),
        (SmoothGradSquared, {"variant": "square"}, "unknown variant 'square'.* square_of_mean"),
    ],
)
def test_bad_options_are_refused(
    method: type[SmoothGrad], options: dict[str, float], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        method(**options)  # type: ignore[arg-type]
