"""Small networks of every make, and images for them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 12


class Residual(nn.Module):
    """One ReLU module used three times, in-place additions, BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.conv1 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        identity = x = self.relu(self.stem(x))
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.conv2(x)
        x += identity
        return self.head(F.adaptive_avg_pool2d(self.relu(x), 1).flatten(1))


class Functional(nn.Module):
    """ReLUs that no module hook sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.head(torch.relu(self.conv2(x)).flatten(1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 16), nn.ReLU(), nn.Linear(16, 4))


def convolutional(*, inplace: bool = False, classes: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(inplace),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(32, 10),
        nn.ReLU(inplace),
        nn.Linear(10, classes),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "conv": convolutional,
    "in-place": lambda: convolutional(inplace=True),
    "functional": Functional,
    "residual": Residual,
    "one-logit": lambda: convolutional(classes=1),
}


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> nn.Module:
    """One small network after the other, in eval mode, with random weights and statistics."""
    torch.manual_seed(7)
    model = NETWORKS[request.param]().eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return model


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def references() -> Tensor:
    return torch.randn(24, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
