"""Watching a model changes nothing, and works wherever it is done."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import frozen, private_randomness, watch


def make() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten()
    )
    model.append(nn.Linear(4 * 6 * 6, 2))
    model[1].eval()  # a mode of its own, as where statistics are frozen
    return model


def random_states() -> list[Any]:
    numpy: Any = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), random.getstate(), numpy[1].tolist(), numpy[2:]]


def state(model: nn.Module) -> list[Any]:
    tensors = [(k, v.tolist(), v._version) for k, v in model.state_dict().items()]
    modules = [(m.training, len(m._forward_hooks), len(m._backward_hooks)) for m in model.modules()]
    parameters = [
        (p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in model.parameters()
    ]
    return [tensors, modules, parameters]


def disturb(private: nn.Module, images: Tensor) -> None:
    """All that a careless method might do."""
    private.train().requires_grad_(True)
    private(images.clone()).sum().backward()
    private.register_forward_hook(lambda *_: None)
    private[0].weight.data.zero_()
    torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
def test_everything_is_as_it_was(
    mode: Callable[[], AbstractContextManager[Any]], fails: bool
) -> None:
    model, images = make(), torch.randn(2, 3, 8, 8)
    model(images).sum().backward()
    before, seeds = state(model), random_states()
    with pytest.raises(ZeroDivisionError) if fails else nullcontext(), mode():
        grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        try:
            with watch(model) as private:
                disturb(private, images)
                assert 1 / (0 if fails else 1)
        finally:
            assert torch.is_grad_enabled() == grad
            assert torch.is_inference_mode_enabled() == inference
    assert state(model) == before
    assert random_states() == seeds


@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
def test_gradients_can_be_taken_inside(mode: Callable[[], AbstractContextManager[Any]]) -> None:
    model = make()
    with mode():
        images = torch.randn(2, 3, 8, 8)
        with watch(model) as private:
            x = images.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(private(x).sum(), x)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_copy_is_frozen_in_eval_mode_and_single_precision(dtype: torch.dtype) -> None:
    model = make().to(dtype)
    model.register_full_backward_hook(lambda *_: pytest.fail("our gradients are ours"))
    with torch.autocast("cpu", dtype=torch.bfloat16), watch(model) as private:
        assert not any(m.training for m in private.modules())
        assert not any(p.requires_grad for p in private.parameters())
        x = torch.randn(2, 3, 8, 8).requires_grad_()
        y = private(x)
        assert y.dtype == torch.float32
        y.sum().backward()
    assert all(p.dtype == dtype for p in model.parameters())


def test_compiled_code_runs_as_it_is_written() -> None:
    compiled: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(1)
        return graph.forward

    child = nn.Sequential(torch.compile(nn.ReLU(), backend=backend), nn.Linear(2, 2))
    for model in (torch.compile(nn.Linear(2, 2), backend=backend), child):
        with watch(model) as private:
            private(torch.ones(1, 2))
            assert "OptimizedModule" not in type(private).__name__
    assert not compiled


def test_a_seed_makes_what_is_drawn_inside_repeatable() -> None:
    def draws(seed: int) -> tuple[float, float, float]:
        with watch(make(), seed=seed):
            return torch.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002

    assert draws(3) == draws(3)
    assert all(a != b for a, b in zip(draws(3), draws(4), strict=True))


def test_watching_can_be_nested() -> None:
    with watch(make()) as outer, watch(outer) as inner:
        inner[0].weight.zero_()
        assert outer[0].weight.abs().sum() > 0


def test_a_forward_hook_that_is_part_of_the_function_stays() -> None:
    model = make().eval()
    model.register_forward_hook(lambda module, inputs, output: 3 * output)
    x = torch.randn(2, 3, 8, 8)
    with watch(model) as private:
        torch.testing.assert_close(private(x), model(x).detach())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_forward_that_casts_to_its_weights_dtype_gets_single_precision(
    dtype: torch.dtype,
) -> None:
    class Casting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = make()[:-1].to(dtype), nn.Linear(4 * 6 * 6, 2)

        def forward(self, x: Tensor) -> Any:
            return self.last(self.inner(x.to(dtype)).float())

    x = torch.randn(2, 3, 8, 8).to(dtype).float()
    model = Casting()
    with watch(model) as private:
        found = private(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, private.last(private.inner(x)))
    assert model.inner[0].weight.dtype == dtype


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: make().to("meta"), "0.weight is on the meta device"),
        (lambda: nn.Sequential(nn.LazyLinear(2)), "0.weight is not initialised"),
        (lambda: torch.jit.script(nn.Linear(2, 2)), "the model is compiled by TorchScript"),
        (lambda: nn.Sequential(torch.jit.script(nn.Linear(2, 2))), "0 is compiled by TorchScript"),
    ],
    ids=["meta", "lazy", "TorchScript", "partly TorchScript"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
@pytest.mark.filterwarnings("ignore:.*Lazy modules.*")
def test_a_model_without_values_or_python_code_is_refused(
    model: Callable[[], nn.Module], said: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=said), watch(model()):
        pass


def test_frozen_puts_back_only_what_it_froze() -> None:
    def fail() -> None:
        with frozen(model):
            assert not any(p.requires_grad for p in model.parameters())
            raise KeyError

    model = make()
    model[0].bias.requires_grad_(False)
    before = [p.requires_grad for p in model.parameters()]
    with pytest.raises(KeyError):
        fail()
    assert [p.requires_grad for p in model.parameters()] == before


def test_private_randomness_is_put_back_after_an_error() -> None:
    def fail() -> None:
        with private_randomness(1, torch.device("cpu")):
            torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
            raise KeyError

    before = random_states()
    with pytest.raises(KeyError):
        fail()
    assert random_states() == before
