"""Occlusion: captum's, and the closed form of a linear network."""

from typing import Any

import captum.attr
import pytest
import torch
from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]
from torch import Tensor, nn

from explaindebug.attributions import attribute
from explaindebug.attributions.occlusion import Occlusion
from explaindebug.core.errors import AttributionError, ConfigError

H, W = 12, 16
TARGETS = torch.tensor([2, 0])
X = torch.randn(2, 3, H, W, generator=torch.Generator().manual_seed(0)).double()


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(16, 3)).double().eval()


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * H * W, 3)).double().eval()


@pytest.mark.parametrize(
    ("size", "stride", "pixels", "steps"),
    [
        (0.25, 0.25, (3, 4), (3, 4)),
        (0.5, 0.25, (6, 8), (3, 4)),
        (0.75, 0.5, (9, 12), (6, 8)),  # the last windows end with the picture
        (1.0, 1.0, (12, 16), (12, 16)),
    ],
)
@pytest.mark.parametrize("off", ["zeros", 0.7])
def test_it_is_captums(size: float, stride: float, pixels: Any, steps: Any, off: Any) -> None:
    model = convolutional()
    expected = (
        captum.attr.Occlusion(model)
        .attribute(
            X, (3, *pixels), (3, *steps), baselines=0.0 if off == "zeros" else off, target=TARGETS
        )
        .double()
    )  # captum sums in float32
    found = Occlusion(size, stride, off)(model, X, TARGETS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


def shown(off: Any, image: Tensor, window: tuple[slice, slice]) -> Tensor:
    """The image with a window off, written out."""
    changed, part = image.clone(), image[:, window[0], window[1]]
    if off == "mean":
        new: Any = part.mean((1, 2), keepdim=True)
    elif off == "blur":
        soft = [gaussian_filter(channel.numpy(), 1.2, mode="nearest") for channel in image]
        new = torch.stack([torch.from_numpy(one) for one in soft])[:, window[0], window[1]]
    else:
        new = torch.tensor(off, dtype=torch.float64).view(-1, 1, 1)
    changed[:, window[0], window[1]] = new
    return changed


@pytest.mark.parametrize("off", ["mean", "blur", (0.5, -1.0, 2.0)])
def test_on_a_linear_network_it_is_the_mean_of_its_windows_share(off: Any) -> None:
    model = linear()
    weights = model[1].weight[TARGETS].detach().view(2, 3, H, W)
    expected, covered = torch.zeros(2, H, W).double(), torch.zeros(H, W).double()
    for top in range(0, 9, 3):
        for left in range(0, 12, 4):
            window = slice(top, top + 6), slice(left, left + 8)
            for i, (image, weight) in enumerate(zip(X, weights, strict=True)):
                expected[(i, *window)] += (weight * (image - shown(off, image, window))).sum()
            covered[window] += 1
    found = Occlusion(0.5, 0.25, off)(model, X, TARGETS)
    expected = (expected / covered)[:, None].expand_as(X)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_the_colour_may_be_that_of_the_references() -> None:
    model, references = convolutional(), torch.randn(7, 3, H, W).double() + 1
    (mean,) = (Occlusion(off="training_mean").prepare(model, references),)
    colour = Occlusion(off=references.mean((0, 2, 3)).tolist())
    assert torch.equal(mean(model, X, TARGETS), colour(model, X, TARGETS))
    with pytest.raises(ConfigError, match="off=training_mean needs images"):
        _ = Occlusion(off="training_mean").passes


def test_a_probability_may_be_explained() -> None:
    model = convolutional()
    whole = model(X).softmax(1).gather(1, TARGETS[:, None])
    black = model(0 * X).softmax(1).gather(1, TARGETS[:, None])
    found = Occlusion(1.0, 1.0, "zeros", "probability")(model, X, TARGETS)
    expected = (whole - black).detach()[..., None, None].expand_as(X)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("side", [7, 10, 31, 48])
@pytest.mark.parametrize(("size", "stride"), [(0.25, 0.125), (0.3, 0.3), (0.2, 0.07)])
def test_windows_cover_every_pixel_whatever_the_size(side: int, size: float, stride: float) -> None:
    method = Occlusion(size, stride)
    covered = torch.zeros(side, side + 3, dtype=torch.int64)
    windows = method.passes.windows(side, side + 3)
    for window in windows:
        covered[window] += 1
    assert covered.min() >= 1
    assert method.passes.calls == (1 + len(windows), 0)


def test_a_network_without_gradients_is_explained() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = convolutional().float()

        def forward(self, x: Tensor) -> Tensor:
            return self.model(x).detach()  # type: ignore[no-any-return]

    x = X.float()
    maps = attribute(Detached(), x, targets=TARGETS, methods="occlusion")["occlusion"]
    plain = attribute(convolutional().float(), x, targets=TARGETS, methods="occlusion")
    assert torch.equal(maps, plain["occlusion"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "size must be a finite number above 0 and at most 1, got 0"),
        ({"size": 8}, "size must be .*It is a share"),
        ({"size": 0.2, "stride": 0.3}, "stride must be a finite number above 0 and at most 0.2"),
        ({"off": "grey"}, "unknown off 'grey'"),
        ({"output": "loss"}, "unknown output 'loss'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Occlusion(**options)


def test_windows_of_less_than_a_pixel_are_refused() -> None:
    with pytest.raises(AttributionError, match="less than a pixel of images of 12 x 16"):
        attribute(
            convolutional().float(),
            X.float(),
            methods={"occlusion": {"size": 0.05, "stride": 0.05}},
        )
