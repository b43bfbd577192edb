"""Guided backpropagation and DeconvNet: closed forms, captum, every way to write a ReLU."""

import warnings
from collections.abc import Callable

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions import Method
from explaindebug.attributions.gradient import Gradient
from explaindebug.attributions.guided_backprop import DeconvNet, GuidedBackprop
from explaindebug.core.errors import UnsupportedModelError

METHODS = [GuidedBackprop(), DeconvNet()]
Activation = Callable[[Tensor], Tensor]


class TwoLayers(nn.Module):
    """F(x) = v . activation(W x + b), with the activation called in some way."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.inner = nn.Linear(48, 20)
        self.outer = nn.Linear(20, 2)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.activation(self.inner(x.flatten(1))))


def discarding(x: Tensor) -> Tensor:
    F.relu(x, inplace=True)
    return x


def aliased(x: Tensor) -> Tensor:
    y = x * 1
    same = y
    y.relu_()
    return same


RELUS: dict[str, Activation] = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "F.relu in place, result discarded": discarding,
    "torch.relu": torch.relu,
    "torch.relu_": lambda x: torch.relu_(x * 1),
    "x.relu()": lambda x: x.relu(),
    "x.relu_()": lambda x: x.relu_(),
    "x.relu_(), seen through another name": aliased,
    "x.clamp(min=0)": lambda x: x.clamp(min=0),
    "x.clamp(0)": lambda x: x.clamp(0),
    "torch.clamp(x, min=0)": lambda x: torch.clamp(x, min=0),
    "x.clamp_(min=0)": lambda x: x.clamp_(min=0),
    "x.clamp_min(0)": lambda x: x.clamp_min(0.0),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_both_equal_their_closed_form(relu: Activation) -> None:
    model = TwoLayers(relu).double().eval()
    x = torch.randn(6, 3, 4, 4, dtype=torch.float64, generator=torch.manual_seed(0))
    targets = torch.arange(6) % 2
    active = (x.flatten(1) @ model.inner.weight.T + model.inner.bias > 0).double()
    signal = model.outer.weight[targets].clamp(min=0)  # only what speaks for the class
    guided, deconvolved = ((s @ model.inner.weight).view_as(x) for s in (signal * active, signal))
    torch.testing.assert_close(GuidedBackprop()(model, x, targets), guided)
    torch.testing.assert_close(DeconvNet()(model, x, targets), deconvolved)


OTHERS: dict[str, Activation] = {
    "GELU": F.gelu,
    "SiLU": F.silu,
    "Mish": F.mish,
    "ELU": F.elu,
    "Softplus": F.softplus,
    "LeakyReLU": F.leaky_relu,
    "Hardtanh": F.relu6,
    "Hardswish": F.hardswish,
    "Hardsigmoid": F.hardsigmoid,
    "Tanh": torch.tanh,
    "Sigmoid": lambda x: x * torch.sigmoid(x),
    "Softmax": lambda x: x.softmax(1),
    "Erf": lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "Threshold": lambda x: F.threshold(x, 0, 0),
    "Maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "Where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "Abs": lambda x: (x + x.abs()) / 2,
    "Clamp": lambda x: x.clamp(0, 6),
    "Prelu": nn.PReLU(),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "activation"), OTHERS.items(), ids=OTHERS)
def test_another_activation_is_refused_by_name(
    name: str, activation: Activation, method: Method
) -> None:
    class Block(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return activation(x)

    block = Block()
    model = nn.Sequential(TwoLayers(lambda x: block(F.relu(x))))
    model[0].block = block
    with pytest.raises(UnsupportedModelError, match=rf"{name}\w* in 0\.block\b"):
        method(model, torch.randn(2, 3, 4, 4), torch.zeros(2, dtype=torch.long))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("method", METHODS)
def test_attention_is_refused(method: Method, images: Tensor) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(12, 2, 8, batch_first=True)
            self.head = nn.Linear(432, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x.flatten(1, 2)).flatten(1))

    with pytest.raises(UnsupportedModelError, match=r"attention in layer.self_attn"):
        method(Attending().eval(), images, torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_relu_is_refused(method: Method, images: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 2))
    with pytest.raises(UnsupportedModelError, match="has none"):
        method(model, images, torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize("method", METHODS)
def test_a_relu_beside_the_way_to_the_score_counts_for_nothing(
    method: Method, images: Tensor
) -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(432, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.unused = F.relu(x)
            return self.head(x.flatten(1))

    with pytest.raises(UnsupportedModelError, match="has none"):
        method(Beside(), images, torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize(
    ("method", "reference"),
    [(METHODS[0], captum.attr.GuidedBackprop), (METHODS[1], captum.attr.Deconvolution)],
)
def test_both_equal_captum_where_captum_works(
    method: Method, reference: type, network: nn.Module, images: Tensor
) -> None:
    relus = [m for m in network.modules() if isinstance(m, nn.ReLU)]
    if not relus or hasattr(network, "stem") or network(images).shape[1] == 1:
        pytest.skip("functional or re-used ReLUs, or one logit")
    targets = torch.tensor([0, 1, 2, 3, 0])
    ours = method(network, images, targets)
    for relu in relus:
        relu.inplace = False  # captum's hooks fail on in-place ReLUs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = reference(network).attribute(images.clone().requires_grad_(), target=targets)
    torch.testing.assert_close(ours, theirs)


def test_neither_is_the_plain_gradient(network: nn.Module, images: Tensor) -> None:
    targets = torch.zeros(5, dtype=torch.long)
    maps = [m(network, images, targets) for m in (Gradient(), *METHODS)]
    for i, a in enumerate(maps):
        for b in maps[i + 1 :]:
            assert not torch.allclose(a, b, rtol=1e-2)
