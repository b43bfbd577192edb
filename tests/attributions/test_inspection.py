"""Gates that autograd takes for constants or smooth functions: no rule can see them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions import attribute
from explaindebug.core.errors import UnsupportedModelError

Activation = Callable[[Tensor], Tensor]
RULES = ["gbp", "deconvnet", "lrp_eps", "lrp_spaf", "deep_taylor"]


class Block(nn.Module):
    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x)


def network(activation: Activation) -> nn.Module:
    """A ReLU that every rule sees, then a module that calls something else."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 5, 3), Block(activation)),
        *(nn.Flatten(), nn.Linear(5 * 64, 3)),
    ).eval()


def written(z: Tensor) -> Tensor:
    mask = torch.zeros_like(z)
    mask[z > 0] = 1
    return z * mask


def picked(z: Tensor) -> Tensor:
    both = torch.stack([z, 0 * z], -1).flatten()
    return both[2 * torch.arange(z.numel()) + (z < 0).flatten()].view_as(z)


MASKS: dict[str, Activation] = {
    "x * (x > 0)": lambda z: z * (z > 0),
    "x * (x > 0).float()": lambda z: z * (z > 0).float(),
    "x * (x > 0).long()": lambda z: z * (z > 0).long(),
    "x.mul_(x > 0)": lambda z: z.mul_(z > 0),
    "a mask written by index": written,
    "heaviside": lambda z: z * torch.heaviside(z.detach(), torch.zeros(())),
    "sign": lambda z: z * (z.detach().sign() + 1) / 2,
    "x.data": lambda z: z * (z.data > 0),
    "max": lambda z: z * (z.detach().clamp(min=0) / z.detach()),
    "a leaky one": lambda z: z * torch.where(z > 0, 1.0, 0.1),
    "division": lambda z: z / torch.where(z > 0, 1.0, torch.inf),
    "straight through": lambda z: z + (z.relu() - z).detach(),
    "a winner takes all": lambda z: z * (z == z.amax(1, keepdim=True)),
}
IN_DISGUISE: dict[str, Activation] = {
    "max over a stack": lambda z: torch.stack([z, torch.zeros_like(z)]).amax(0),
    "max over a stack of products": lambda z: torch.stack([z, 0 * z]).max(0).values,
    "max-pooling": lambda z: F.max_pool3d(torch.stack([z, 0 * z], 2), (2, 1, 1)).squeeze(2),
    "gather": lambda z: torch.stack([z, 0 * z]).gather(0, (z < 0).long()[None])[0],
    "places": picked,
}
SMOOTH: dict[str, Activation] = {  # LRP refuses these by their names
    "root of the square": lambda z: (z + (z * z).sqrt()) / 2,
    "norm": lambda z: (z + z[..., None].norm(dim=-1)) / 2,
    "leaky root": lambda z: 0.6 * z + 0.4 * z.pow(2).sqrt(),
}


@pytest.mark.parametrize("activation", (MASKS | IN_DISGUISE).values(), ids=MASKS | IN_DISGUISE)
def test_a_gate_is_refused_with_its_module(activation: Activation, images: Tensor) -> None:
    for method in ("gbp", "lrp_eps"):
        with pytest.raises(UnsupportedModelError, match=r"gate .* in 3\."):
            attribute(network(activation), images, targets=0, methods=method)


@pytest.mark.parametrize("activation", SMOOTH.values(), ids=SMOOTH)
def test_a_gate_of_smooth_operations_is_refused_with_its_module(
    activation: Activation, images: Tensor
) -> None:
    with pytest.raises(UnsupportedModelError, match=r"gate .* in 3\."):
        attribute(network(activation), images, targets=0, methods="gbp")
    with pytest.raises(UnsupportedModelError, match="has no rule for"):
        attribute(network(activation), images, targets=0, methods="lrp_eps")


@pytest.mark.parametrize("method", RULES)
def test_every_method_with_a_rule_refuses_a_mask(method: str, images: Tensor) -> None:
    with pytest.raises(UnsupportedModelError, match=r"gate .* in 3\."):
        attribute(network(lambda z: z * (z > 0)), images, targets=0, methods=method)


def test_a_mask_changes_nothing_for_methods_without_rules(images: Tensor) -> None:
    masked, plain = network(lambda z: z * (z > 0)), network(F.relu)
    for method in ("grad", {"sgrad": {"samples": 2}}):
        (found,), (expected,) = (
            attribute(model, images, targets=0, methods=method).values()
            for model in (masked, plain)
        )
        torch.testing.assert_close(found, expected)


class Hidden(torch.autograd.Function):
    """Named like an operation of torch's, with a ReLU inside."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.op = "relu"
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return g * (ctx.saved_tensors[0] > 0)


class Add(Hidden):
    pass


@pytest.mark.parametrize("function", [Hidden, Add])
def test_a_function_of_the_models_own_is_refused_whatever_its_name(
    function: type[torch.autograd.Function], images: Tensor
) -> None:
    for method in ("gbp", "lrp_eps"):
        with pytest.raises(UnsupportedModelError, match=rf"{function.__name__} in 3\b"):
            attribute(network(function.apply), images, targets=0, methods=method)


def excited(z: Tensor) -> Tensor:
    """Squeeze and excitation, by a gate that has a gradient."""
    return z * z.mean((2, 3), keepdim=True).relu()


FINE: dict[str, Activation] = {
    "ReLU, then identities": lambda z: (z.relu() * 1.0).clone() + 0,
    "twice": lambda z: z.relu().relu(),
    "squeeze and excitation": excited,
    "padding with channels of zeros": lambda z: torch.cat([z, z.new_zeros(z.shape)], 1)[:, :5],
    "ReLU beside what goes in": lambda z: torch.cat([z, z.relu()], 1)[:, 2:7].relu(),
    "a part of a ReLU": lambda z: torch.cat([z[:, :2], z[:, 2:].relu()], 1).relu(),
    "normalised": lambda z: z.relu() / (z * z).mean((1, 2, 3), keepdim=True).sqrt(),
    "max-pooling in place": lambda z: F.max_pool2d(z.relu(), 3, 1, 1),
    "a constant mask": lambda z: z.relu() * (torch.arange(z.shape[-1]) > 2),
}


@pytest.mark.parametrize("activation", FINE.values(), ids=FINE)
def test_what_is_no_hidden_gate_is_passed(activation: Activation, images: Tensor) -> None:
    assert attribute(network(activation), images, targets=0, methods="gbp")["gbp"].any()


CLAMPS: dict[str, Activation] = {
    "x.clip(min=0)": lambda z: z.clip(min=0),
    "torch.clip(x, 0)": lambda z: torch.clip(z, 0),
    "x.clip_(0)": lambda z: z.clip_(0),
    "F.relu(x, True)": lambda z: F.relu(z, True),
}


@pytest.mark.parametrize("activation", CLAMPS.values(), ids=CLAMPS)
def test_further_ways_to_call_a_relu_are_seen(activation: Activation, images: Tensor) -> None:
    methods = ["gbp", "deconvnet", "lrp_spaf"]
    found, expected = (
        attribute(network(one), images, targets=0, methods=methods) for one in (activation, F.relu)
    )
    for method in methods:
        assert torch.equal(found[method], expected[method])


def test_a_relu_in_place_by_position_counts_although_its_result_is_dropped(images: Tensor) -> None:
    def dropped(z: Tensor) -> Tensor:
        F.relu(z, True)
        return z

    found, expected = (
        attribute(network(f), images, targets=0, methods="gbp")["gbp"] for f in (dropped, F.relu)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (lambda z: z.clamp(min=torch.zeros(5, 1, 1)), "Clamp"),
        (lambda z: torch.div(z, 0.1, rounding_mode="floor"), "quotient"),
    ],
)
def test_an_operation_that_only_shares_its_name_is_refused(
    activation: Activation, name: str, images: Tensor
) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"{name} in 3\b"):
        attribute(network(activation), images, targets=0, methods="lrp_eps")
