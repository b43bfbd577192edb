"""Interception: it changes no value, no gradient, and sees every operation in its place."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions._autograd.backward import Backward, Rule
from explaindebug.attributions._autograd.ops import Linear, Op, Relu
from explaindebug.attributions._autograd.tape import KINDS, Tape
from explaindebug.attributions.gradient import Gradient
from explaindebug.attributions.guided_backprop import DeconvNet, GuidedBackprop
from explaindebug.core.errors import UnsupportedModelError

ALL = frozenset(KINDS.values())


@dataclass(frozen=True, eq=False)
class Witness(Rule):
    """The true gradient through every operation that can be intercepted; notes them all."""

    kinds = ALL
    seen: list[Op] = field(default_factory=list)

    def propagate(self, op: Op, signal: Tensor) -> tuple[Tensor, ...]:
        self.seen.append(op)
        return super().propagate(op, signal)


def witnessed(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Op]]:
    rule = Witness()
    maps = Backward(rule).run(model.requires_grad_(False), images, torch.zeros(len(images)).long())
    return maps, rule.seen[::-1]


def test_outputs_are_the_same_to_the_last_bit(network: nn.Module, images: Tensor) -> None:
    network.requires_grad_(False)
    with Tape(ALL):
        taped = network(images.clone().requires_grad_())
    assert torch.equal(taped.detach(), network(images))


def test_gradients_are_the_same(network: nn.Module, images: Tensor) -> None:
    network, images = network.double(), images.double()
    gradient = Gradient()(network, images, torch.zeros(5).long())
    maps, ops = witnessed(network, images)
    torch.testing.assert_close(maps, gradient, rtol=1e-12, atol=1e-15)
    assert len(ops) > 2


def test_every_operation_is_seen_in_its_place(images: Tensor) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(100, 2)
    )
    _, ops = witnessed(model, images)
    assert [op.kind for op in ops] == ["conv", "relu", "mean", "linear"]
    assert [op.first for op in ops] == [True, False, False, False]
    assert [op.last for op in ops] == [False, False, False, True]


def test_two_branches_from_the_image_are_both_first(images: Tensor) -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(12, 12) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            return (self.c(self.a(x)) + self.b(x)).mean((2, 3))

    _, ops = witnessed(Branches(), images)
    found = Counter((op.kind, op.first, op.last) for op in ops if op.linear)
    assert found == {
        ("linear", True, False): 1,  # a: c lies behind it
        ("linear", True, True): 1,  # b
        ("linear", False, True): 1,  # c
    }


def test_what_an_operation_kept_survives_an_in_place_operation(images: Tensor) -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.again = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            y = self.again(x.relu_())
            y += x
            return y.mean((2, 3))

    model = Overwriting()
    _, ops = witnessed(model, images)
    conv, relu, again, add, _ = ops
    z = model.conv(images)
    assert torch.equal(conv.output, z)
    assert torch.equal(relu.output, z.relu())
    assert torch.equal(again.output, model.again(z.relu()))
    assert torch.equal(add.inputs[0], model.again(z.relu()))
    assert torch.equal(add.inputs[1], z.relu())
    assert torch.equal(add.output, model.again(z.relu()) + z.relu())


def test_an_in_place_operation_is_seen_through_other_names(images: Tensor) -> None:
    class Aliased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(432, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = x * 2
            r = h.relu_()
            return self.head((h + r).flatten(1))  # twice the rectified x

    model = Aliased().double()
    images = images.double()
    gradient = Gradient()(model, images, torch.zeros(5).long())
    torch.testing.assert_close(witnessed(model, images)[0], gradient)
    expected = 4 * model.head.weight[0].view(3, 12, 12) * (images > 0)
    torch.testing.assert_close(gradient, expected)


def test_an_unknown_operation_that_overwrites_is_an_error(images: Tensor) -> None:
    class Vandal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).abs_().mean((2, 3))

    with pytest.raises(UnsupportedModelError, match="overwritten in place"):
        witnessed(Vandal(), images)


def relu(x: Tensor) -> Tensor:
    """A function that can be overridden like torch's own, and is not what its name says."""
    if torch.overrides.has_torch_function((x,)):
        return torch.overrides.handle_torch_function(relu, (x,), x)  # type: ignore[no-any-return]
    return x - x.mean((1, 2, 3), keepdim=True)


def test_a_replaced_operation_must_give_what_the_model_gives(images: Tensor) -> None:
    class Misnamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(432, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(relu(x).flatten(1))

    model, target = Misnamed().requires_grad_(False), torch.zeros(1).long()
    with pytest.raises(UnsupportedModelError, match=r"another logit .*\(relu\)"):
        GuidedBackprop().passes.check(model, images[:1], target)


def test_a_replaced_operation_must_have_the_gradient_of_the_model(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relu, "vjp", lambda self, signal: (2 * signal,))
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 9), nn.ReLU(), nn.Linear(9, 2))
    with pytest.raises(UnsupportedModelError, match="another gradient"):
        GuidedBackprop().passes.check(
            model.requires_grad_(False), images[:1], torch.zeros(1).long()
        )


def test_the_comparison_by_numbers_is_made_once_for_each_network_and_size(images: Tensor) -> None:
    class Counting(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += 1
            return F.relu(x).mean((2, 3))

    model, target = Counting(), torch.zeros(1).long()
    for method, size, calls in (
        (GuidedBackprop(), 12, 4),  # alone, in company, taped, as it is
        (GuidedBackprop(), 12, 1),  # taped
        (DeconvNet(), 12, 1),
        (DeconvNet(), 9, 4),
    ):
        Counting.calls = 0
        method.passes.check(model, images[:1, :, :size, :size], target)
        assert Counting.calls == calls


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 6, 3),
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(3, 6, (3, 5), dilation=2, padding=(1, 2), groups=3),
        nn.Conv2d(3, 6, 4, padding="same"),
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_convolutions_of_every_kind_have_their_adjoint(conv: nn.Conv2d, images: Tensor) -> None:
    model = nn.Sequential(conv, nn.Flatten(), nn.LazyLinear(2))
    model(images)
    model, images = model.double(), images.double()
    maps, (op, _) = witnessed(model, images)
    torch.testing.assert_close(maps, Gradient()(model, images, torch.zeros(5).long()))
    assert isinstance(op, Linear)
    x, y = torch.randn_like(op.inputs[0]), torch.randn_like(op.output)
    other = torch.randn_like(op.weight)
    forth, back = (op.apply(x, other) * y).sum(), (x * op.adjoint(y, other)).sum()
    torch.testing.assert_close(forth, back)


def test_operations_without_a_way_to_the_image_are_left_alone() -> None:
    with Tape(ALL):
        assert F.relu(torch.ones(2)).grad_fn is None
        with torch.no_grad():
            assert F.relu(torch.ones(2, requires_grad=True)).grad_fn is None


def test_each_rule_has_its_own_way_back_through_one_forward_pass(images: Tensor) -> None:
    class Counting(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += 1
            return F.relu(x).mean((2, 3))

    @dataclass(frozen=True)
    class Times(Rule):
        factor: float
        kinds = frozenset({"relu"})

        def propagate(self, op: Op, signal: Tensor) -> tuple[Tensor, ...]:
            return (self.factor * signal,)

    group = [Backward(Times(factor)) for factor in (1.0, 2.0, 5.0)]
    one, two, five = Backward.run_together(group, Counting(), images, torch.zeros(5).long())
    assert Counting.calls == 1
    assert torch.equal(two, 2 * one)
    assert torch.equal(five, 5 * one)
