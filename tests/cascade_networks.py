"""Small networks of every kind that a cascade meets."""

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock

from explaindebug.models import BVDCNN


class Residual(nn.Module):
    """A residual connection that is added in place, and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.again = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        nn.init.uniform_(self.norm.weight, 0.5, 2)  # as if trained
        self.late = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x), inplace=True)
        y = self.norm(self.again(self.again(x).relu_()))
        z = self.late(y)
        z += x
        return self.head(z.relu_().mean((2, 3)))


class Branching(nn.Module):
    """Two branches, the second of which runs late but was defined early; one weight by function."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Conv2d(3, 4, 3, padding=1)
        self.main = nn.Conv2d(3, 4, 1)
        self.deep = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(F.max_pool2d(self.main(x).relu(), 2), self.deep.weight, None, 1, 1, 1, 2)
        z = F.avg_pool2d(self.side(x).relu() * self.scale, 2)
        return self.head(torch.cat([y.relu(), z], 1).mean((2, 3)))


class Shuffling(nn.Module):
    """Reads its last layer's dtype first, normalises its input in place, and forks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3)
        self.fork = nn.ModuleList([nn.Conv2d(5, 5, 1), nn.Conv2d(5, 5, 1)])
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.last.weight.dtype)
        x.sub_(0.1).div_(2.0)
        x = self.first(input=x).relu()
        a, b = (branch(x) for branch in self.fork)
        return self.last((a * b.sigmoid()).relu().amax((2, 3)))


def transformer() -> nn.Module:
    model = torchvision.models.VisionTransformer(16, 8, 2, 2, 8, 16, num_classes=3)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def resnet() -> nn.Module:
    model = torchvision.models.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=4)
    model(torch.randn(4, 3, 32, 32))  # statistics of its own
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: BVDCNN(4, 16),
    "residual": Residual,
    "branching": Branching,
    "shuffling": Shuffling,
    "transformer": transformer,
    "resnet": resnet,
}
RECTIFIED = ("plain", "residual", "branching", "resnet")  # guided backpropagation passes them


def network(name: str) -> nn.Module:
    """The network of that name, in eval mode, the same every time."""
    torch.manual_seed(0)
    return NETWORKS[name]().eval().requires_grad_(False)


def images(n: int = 3, size: int = 16) -> Tensor:
    """Pictures (n, 3, size, size)."""
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))
