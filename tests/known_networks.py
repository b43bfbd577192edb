"""Networks of the literature, with weights drawn at random or trained by others."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.models import create_model


def draw(model: nn.Module, seed: int = 0, biases: bool = True) -> nn.Module:
    """New weights and BatchNorm statistics; without biases nothing but weights remains.

    The model comes back in float64, in eval mode and frozen.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.double().eval().requires_grad_(False).modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.normal_(0, 0.1 * biases, generator=generator)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            if module.track_running_stats:
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.running_mean.normal_(0, 0.2 * biases, generator=generator)
            if module.affine:
                module.weight.uniform_(0.5, 2, generator=generator)
                module.bias.normal_(0, 0.2 * biases, generator=generator)
    return model


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.pad = (outputs - inputs) // 2
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        out += x
        return F.relu(out)


class ResNet20(nn.Module):
    """He et al. 2015 for CIFAR-10, with parameter-free shortcuts; functional, in place."""

    def __init__(self, blocks: int = 3, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for i, (a, b) in enumerate(((width, width), (width, 2 * width), (2 * width, 4 * width)), 1):
            first = Block(a, b, 1 if a == b else 2)
            stage = nn.Sequential(first, *(Block(b, b) for _ in range(blocks - 1)))
            setattr(self, f"layer{i}", stage)
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.avg_pool2d(x, x.shape[3]).flatten(1))


def trained_resnet20(folder: Path) -> nn.Module:
    """With weights for CIFAR-10 from the folder of real data."""
    file = folder / "cifar10_resnets/resnet20-12fca82f.th"
    state = torch.load(file, map_location="cpu", weights_only=True)
    model = ResNet20()
    model.load_state_dict({k.removeprefix("module."): v for k, v in state["state_dict"].items()})
    return model.eval().requires_grad_(False)


def trained_squeezenet(folder: Path) -> nn.Module:
    """SqueezeNet 1.0 with weights for ImageNet from the folder of real data."""
    file = folder / "squeezenet_imagenet/squeezenet1_0_torchvision_norm_fp16.pt"
    return create_model("squeezenet1_0", weights=file).eval().requires_grad_(False)
