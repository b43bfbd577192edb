"""Small networks for LRP, what is explained in them, and relevance by zennit."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from known_networks import draw
from torch import Tensor, nn


class Network(nn.Module):
    """A forward function over modules, drawn from a seed, in float64, eval mode, and frozen."""

    def __init__(self, forward: Callable[..., Tensor], seed: int = 0, **modules: nn.Module) -> None:
        super().__init__()
        self.run = forward
        self.parts = nn.ModuleDict(modules)
        draw(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, **self.parts)


def images(n: int = 3, size: int = 12, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, size, size, generator=generator).double()


def plain() -> nn.Module:
    return draw(
        nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(128, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 4)),
        )
    )


def best(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The predicted class and its logit."""
    logit, target = model(x).max(1)
    return target, logit


def total(maps: Tensor) -> Tensor:
    return maps.sum((1, 2, 3))


def by_zennit(model: nn.Module, x: Tensor, target: Tensor, composite: object) -> Tensor:
    """Relevance from the logit's value, as our start is."""
    x = x.clone().requires_grad_()
    with composite.context(model) as context:
        logits = context(x)
        start = logits.detach() * F.one_hot(target, logits.shape[1])
        return torch.autograd.grad(logits, x, start)[0]


def residual_sums() -> object:
    return pytest.importorskip("zennit.torchvision").ResNetCanonizer()


def resnet18() -> nn.Module:
    """With an eps near 0: what zennit leaves of a merged BatchNorm divides by sqrt(1 + eps)."""
    model = draw(pytest.importorskip("torchvision.models").resnet18(weights=None))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-12
    return model
