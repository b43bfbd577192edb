"""The plain gradient: against finite differences and captum."""

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.targets import explained
from explaindebug.attributions.gradient import Gradient, InputGradient


def test_it_is_the_limit_of_finite_differences(images: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(400, 3)).double()
    x, targets, step = images[:2].double(), torch.tensor([2, 0]), 1e-5
    maps = Gradient()(model.eval(), x, targets)
    for place in [(0, 0, 0), (1, 5, 7), (2, 11, 11)]:
        bump = torch.zeros_like(x)
        bump[(slice(None), *place)] = step
        with torch.no_grad():
            up, down = (explained(model, x + sign * bump, targets) for sign in (1, -1))
        torch.testing.assert_close(
            maps[(slice(None), *place)], (up - down) / (2 * step), rtol=1e-7, atol=1e-9
        )


def test_it_equals_captum(network: nn.Module, images: Tensor) -> None:
    if network(images).shape[1] == 1:
        pytest.skip("captum explains the logit as it is, not with the sign of its class")
    targets = torch.tensor([0, 1, 2, 3, 0])
    saliency = captum.attr.Saliency(network).attribute(
        images.clone().requires_grad_(), target=targets, abs=False
    )
    torch.testing.assert_close(Gradient()(network, images, targets), saliency)
    torch.testing.assert_close(InputGradient()(network, images, targets), saliency * images)


def test_one_logit_speaks_for_its_class(images: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 1), nn.Flatten(0))
    weights = model[1].weight.detach().view(3, 12, 12)
    maps = Gradient()(model, images[:2], torch.tensor([1, 0]))
    torch.testing.assert_close(maps, torch.stack([weights, -weights]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_the_dtype(dtype: torch.dtype, network: nn.Module, images: Tensor) -> None:
    maps = Gradient()(network.to(dtype), images.to(dtype), torch.zeros(5, dtype=torch.long))
    assert maps.dtype == dtype
