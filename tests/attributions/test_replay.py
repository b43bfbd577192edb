"""What is taken from memory is what would have been computed, on any network."""

from collections import Counter
from typing import Any

import pytest
import torch
from cascade_networks import NETWORKS, RECTIFIED, images, network
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from explaindebug.attributions._autograd.replay import Replay
from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.reinitialisation import exchanged, fresh, tensor_of
from explaindebug.models.layers import layers, stages

ROOM = 2**28
States = list[dict[str, Tensor]]


class Counted(TorchFunctionMode):
    """Counts the functions that are really run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[getattr(func, "__name__", "")] += 1
        return func(*args, **(kwargs or {}))


def states(model: nn.Module, order: str, size: int = 16) -> States:
    steps = stages(layers(model, images(1, size)), order)
    new = fresh(model, [name for step in steps for name in step.layers], seed=0)
    return [{}, *(new.of(step.layers) for step in steps)]


def replayed(model: nn.Module, found: States, work: Any, room: int = ROOM) -> list[Any]:
    replay, results = Replay(model, room=room), []
    for tensors in found:
        with exchanged(model, tensors), replay.run([tensor_of(model, name) for name in tensors]):
            results.append(work(model))
    return results


def computed(model: nn.Module, found: States, work: Any) -> list[Any]:
    results = []
    for tensors in found:
        with exchanged(model, tensors):
            results.append(work(model))
    return results


def gradient(model: nn.Module) -> Tensor:
    x = images().requires_grad_()
    return torch.autograd.grad(model(x.clone())[:, 0].sum(), x)[0]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_logits_are_those_of_whole_passes_to_the_last_bit(name, order):
    model = network(name)
    found = states(model, order)
    expected = computed(model, found, gradient)
    assert same(replayed(model, found, gradient), expected)
    assert not same(expected[1:], expected[:-1])


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_without_gradients_are_those_of_whole_passes(name):
    model = network(name)
    found = states(model, "top_down")
    with torch.no_grad():
        ours, theirs = (run(model, found, lambda m: m(images())) for run in (replayed, computed))
    if name == "transformer":  # torch computes attention in another way where it is watched
        torch.testing.assert_close(ours, theirs)
    else:
        assert same(ours, theirs)


@pytest.mark.parametrize("name", RECTIFIED)
def test_methods_with_rules_of_their_own_get_the_same_maps(name):
    model = network(name)
    methods = ["grad", "gbp", "deconvnet"] + (["lrp_eps", "lrp_spaf"] if name == "plain" else [])
    plan, found = Plan(methods), states(model, "top_down")
    targets = torch.tensor([0, 1, 2])

    def work(model: nn.Module) -> Tensor:
        return torch.stack(list(plan(model, images(), targets, workers=1).values()))

    assert same(replayed(model, found, work), computed(model, found, work))


def test_methods_that_read_attention_get_the_same_maps():
    model = network("transformer")
    plan, found = Plan(["rollout", "gradattn", "legrad"]), states(model, "top_down")
    targets = torch.tensor([0, 1, 2])

    def work(model: nn.Module) -> Tensor:
        return torch.stack(list(plan(model, images(), targets, workers=1).values()))

    assert not plan.refusals(model, images())  # finds the tokens, once
    expected = computed(model, found, work)
    for ours, theirs in zip(replayed(model, found, work), expected, strict=True):
        assert torch.equal(ours[0], theirs[0])
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6 * float(theirs.max()))
    (rollout, *_), (again, *_) = expected[:2]
    assert torch.equal(rollout, again)  # the head is lost first
    assert not torch.allclose(expected[0], expected[1], rtol=0.1)


def test_only_what_comes_after_the_first_changed_weight_is_computed():
    model = network("plain")
    counts = []
    found = states(model, "top_down")

    def work(model: nn.Module) -> None:
        model(images())

    with Counted() as counted, torch.no_grad():
        replay = Replay(model, room=ROOM)
        for tensors in found:
            counted.calls.clear()
            with exchanged(model, tensors), replay.run([tensor_of(model, k) for k in tensors]):
                work(model)
            counts.append((counted.calls["conv2d"], counted.calls["linear"]))
    assert counts == [(5, 3), (0, 1), (0, 2), (0, 3), (1, 3), (2, 3), (3, 3), (4, 3), (5, 3)]


def test_a_branch_that_runs_before_the_first_changed_weight_is_not_computed_again():
    model = network("branching")
    counts = {}
    for name in ("side", "main"):
        new = fresh(model, [name], seed=0)
        with Counted() as counted, torch.no_grad():
            replayed(model, [{}, new.tensors], lambda model: model(images()))
            counts[name] = counted.calls["conv2d"] - 3
    assert counts == {"side": 1, "main": 3}  # main, which runs first, is before all the others


def test_behind_what_always_changes_nothing_is_kept():
    model = network("plain")
    always = list(model.conv3.parameters())
    replay = Replay(model, always=always, room=ROOM)
    with replay.run([]):
        model(images())
    assert [len(call.kept) for call in replay._calls] == [2]


@pytest.mark.parametrize("room", [0, 20_000, 100_000])
def test_what_does_not_fit_is_computed(room):
    model = network("plain")
    found = states(model, "top_down")
    assert same(replayed(model, found, gradient, room), computed(model, found, gradient))


def test_other_images_than_in_the_first_run_are_computed():
    model = network("plain")
    found = states(model, "top_down")
    calls = iter(range(100))

    def work(model: nn.Module) -> Tensor:
        return model(images() + 0.1 * next(calls))

    with torch.no_grad():
        first = replayed(model, found, work)
        calls = iter(range(100))
        assert same(first, computed(model, found, work))


def test_more_calls_than_in_the_first_run_are_computed():
    model = network("plain")
    found = states(model, "top_down")
    times = iter(range(100))

    def work(model: nn.Module) -> Tensor:
        return torch.stack([model(images() * (k + 1)) for k in range(1 + (next(times) > 0))])

    with torch.no_grad():
        first = replayed(model, found, work)
        times = iter(range(100))
        assert same(first, computed(model, found, work))


class Noisy(nn.Module):
    """Draws random numbers in eval mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x + 0.1 * torch.randn_like(x)).relu().mean((2, 3)))


def test_a_network_that_draws_random_numbers_is_computed():
    torch.manual_seed(0)
    model = Noisy().requires_grad_(False)
    found = states(model, "top_down")
    results = []
    for run in (replayed, computed):
        torch.manual_seed(1)
        results.append(run(model, found, lambda model: model(images())))
    assert same(*results)


class Gated(nn.Module):
    """Its way depends on a number that it reads from a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(3.0), requires_grad=False)
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x * float(self.gate))
        return self.last(y.relu().mean((2, 3)))


def test_a_weight_that_is_read_as_a_number_counts_as_read():
    model = Gated().requires_grad_(False)
    found = [{}, {"gate": torch.tensor(-2.0)}]
    assert same(replayed(model, found, gradient), computed(model, found, gradient))


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A function that can be overridden like torch's own, and is not what its name says."""
    if torch.overrides.has_torch_function((x, weight, bias)):
        return torch.overrides.handle_torch_function(linear, (x,), x, weight, bias)
    return nn.functional.linear(x, weight, bias).sin()


def test_what_is_not_the_operation_that_its_name_says_is_computed():
    class Misnamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head = nn.Linear(768, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(linear(x.flatten(1), self.inner.weight, self.inner.bias))

    torch.manual_seed(0)
    model = Misnamed().eval().requires_grad_(False)
    found = states(model, "top_down")
    assert same(replayed(model, found, gradient), computed(model, found, gradient))


def test_nothing_is_left_behind_also_after_an_exception():
    model = network("plain")
    replay = Replay(model, room=ROOM)
    with pytest.raises(ZeroDivisionError), replay.run([]):
        raise ZeroDivisionError
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    with Counted() as counted:
        model(images())
    assert counted.calls["conv2d"] == 5


def test_the_output_of_the_first_call_is_known():
    model = network("plain")
    replay = Replay(model, room=0)
    with replay.run([]):
        first = model(images())
        model(images() * 2)
    assert torch.equal(replay.output, first)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_another_device():
    model = network("residual").cuda()
    found = [{}, *(({k: v.cuda() for k, v in s.items()}) for s in states(model, "top_down")[1:])]

    def work(model: nn.Module) -> Tensor:
        x = images().cuda().requires_grad_()
        return torch.autograd.grad(model(x.clone())[:, 0].sum(), x)[0]

    for a, b in zip(replayed(model, found, work), computed(model, found, work), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
