"""The paper's birds-against-dogs network: five convolutions, three dense layers, ReLU only.

Source: Adebayo et al. 2020, section 3, which gives the number of layers. Widths, kernels and
pooling are a common choice that every method of the paper supports: no BatchNorm and no average
pooling, which PatternNet and the LRP presets of the time could not handle.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from explaindebug.core.errors import ConfigError

SMALLEST_MAP = 3  # px; a smaller feature map would keep too little spatial information


class BVDCNN(nn.Module):
    """Logits (n, outputs) for images (n, channels, size, size).

    Five 3x3 convolutions, each with a ReLU and a 2x2 max-pool; a pool is left out if it would make
    the feature map smaller than 3 px. So 224 px are pooled five times (to 7 px), 128 px five (to
    4), 64 and 48 px four (to 4 and 3), 32 and 28 px three times (to 4 and 3). Then `fc1` and `fc2`,
    each with ReLU and dropout, and `fc3`: one logit, positive for class 1, or one per class.

    Every ReLU is a separate module and not in place, and flattening is not a module, as the hooks
    of guided backpropagation, DeepLift and LRP (also captum's) require. Weights are initialised
    after He et al. 2015, biases with zero; with PyTorch's default initialisation the network needs
    twice the epochs.

    Raises:
        ConfigError: for an invalid option, and for images of another size.
    """

    def __init__(
        self,
        outputs: int = 1,
        size: int = 224,
        channels: int = 3,
        widths: Sequence[int] = (32, 64, 128, 128, 128),
        hidden: Sequence[int] = (512, 128),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        _check(outputs=outputs, size=size, channels=channels, dropout=dropout)
        _check_widths(widths=widths, hidden=hidden)
        self.input_shape = (channels, size, size)
        for i, width in enumerate(widths, 1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, 3, padding=1))
            self.add_module(f"relu{i}", nn.ReLU())
            if size // 2 >= SMALLEST_MAP:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
                size //= 2
            channels = width
        features = channels * size * size
        for i, width in enumerate(hidden, 1):
            self.add_module(f"fc{i}", nn.Linear(features, width))
            self.add_module(f"relu{len(widths) + i}", nn.ReLU())
            self.add_module(f"drop{i}", nn.Dropout(dropout))
            features = width
        self.add_module(f"fc{len(hidden) + 1}", nn.Linear(features, outputs))
        self.apply(_he)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1:] != self.input_shape:
            raise ConfigError(
                f"this BVD-CNN takes images (n, {', '.join(map(str, self.input_shape))}), got "
                f"{tuple(images.shape)}. Give the model the size and channels of the data."
            )
        x = images
        for name, module in self.named_children():
            x = module(torch.flatten(x, 1) if name == "fc1" else x)
        return x

    def extra_repr(self) -> str:
        return f"input: {' x '.join(map(str, self.input_shape))}"


def _he(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(*, outputs: int, size: int, channels: int, dropout: float) -> None:
    if size < 2 * SMALLEST_MAP:
        raise ConfigError(
            f"BVD-CNN: size={size}, but images need at least {2 * SMALLEST_MAP} px to be pooled "
            "once. The debugging tests are meant for 28 px and more."
        )
    if outputs < 1 or channels < 1:
        raise ConfigError(f"BVD-CNN: outputs={outputs} and channels={channels} must be 1 or more.")
    if not 0 <= dropout < 1:
        raise ConfigError(
            f"BVD-CNN: dropout={dropout}, but a probability of at least 0 and below 1 is expected."
        )


def _check_widths(**options: Sequence[int]) -> None:
    for name, widths in options.items():
        if not widths or min(widths) < 1:
            raise ConfigError(
                f"BVD-CNN: {name}={list(widths)}, but one or more widths of at least 1 are needed."
            )
