"""A copy has all that computes, and nothing that happens to it is seen elsewhere."""

import functools
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from explaindebug.attributions import attribute
from explaindebug.core.copying import Copier
from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import private_copy, watch
from explaindebug.core.parallel import twin

KEPT: list[Tensor] = []  # by hooks, as scripts and notebooks do
NAMED: dict[str, Tensor] = {}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return nn.Sequential(*layers).eval()


def images() -> Tensor:
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def maps(model: nn.Module) -> Tensor:
    """By two workers, each with a twin of the private copy."""
    targets = torch.tensor([0, 1, 2])
    return attribute(
        model, images(), targets=targets, methods=["grad", "sgrad"], workers=2, chunk=1
    )["sgrad"]


class Around(nn.Module):
    """A network with things around it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, x: Tensor) -> Any:
        return self.network(x)


def keep(module: nn.Module, args: Any, output: Tensor) -> None:
    KEPT.append(output)


def named(name: str) -> Any:
    def hook(module: nn.Module, args: Any, output: Tensor) -> None:
        NAMED[name] = output

    return hook


class Notes:
    """Keeps outputs on itself."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []
        self.calls = 0
        self.lock = threading.Lock()

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> None:
        with self.lock:
            self.calls += 1
            self.seen.append(output)


class TestHooksOfTheUser:
    def test_those_that_only_look_do_not_see_our_passes(self) -> None:
        model, kept, notes, calls = network(), list[Tensor](), Notes(), 0

        def count(*_: Any) -> None:
            nonlocal calls
            calls += 1

        def store(kept: list[Tensor], module: nn.Module, args: Any, output: Tensor) -> None:
            kept.append(output)

        model[0].register_forward_hook(lambda module, args, output: kept.append(output))
        model[0].register_forward_hook(functools.partial(store, kept))
        model[0].register_forward_hook(keep)
        model[0].register_forward_hook(named("first"))
        model[0].register_forward_pre_hook(count)
        model[1].register_forward_hook(notes)
        model[1].register_forward_hook(notes.__call__, always_call=True)
        torch.testing.assert_close(maps(model), maps(network()))
        assert [len(kept), len(KEPT), len(NAMED), notes.calls, calls] == [0] * 5
        model(images())
        assert [len(kept), len(KEPT), len(NAMED), notes.calls, calls] == [2, 1, 1, 2, 1]
        KEPT.clear()
        NAMED.clear()

    def test_those_that_change_the_output_are_part_of_the_function(self) -> None:
        model, kept = network(), list[Tensor]()

        def double(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            kept.append(output)
            return 2 * output

        def also_double(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
            return 2 * output

        handle = model[3].register_forward_hook(double)
        model[3].register_forward_hook(also_double, with_kwargs=True)
        torch.testing.assert_close(maps(model), 4 * maps(network()))
        assert not kept
        handle.remove()
        torch.testing.assert_close(maps(model), 2 * maps(network()))

    def test_features_that_a_hook_keeps_for_the_forward_are_those_of_the_same_pass(self) -> None:
        class Features(Around):
            def __init__(self) -> None:
                super().__init__()
                self.features: dict[str, Tensor] = {}
                self.network[2].register_forward_hook(
                    lambda module, args, output: self.features.update(flat=output)
                )

            def forward(self, x: Tensor) -> Any:
                self.network(x)
                return self.network[3](self.features["flat"])

        model = Features()
        model(images() + 1)
        before = model.features["flat"]
        torch.testing.assert_close(maps(model), maps(network()))
        assert model.features["flat"] is before

    def test_a_handle_in_the_copy_removes_the_hook_of_the_copy(self) -> None:
        model = network()
        model.handle = model[3].register_forward_hook(lambda m, args, output: 2 * output)  # type: ignore[assignment]
        copied: Any = private_copy(model)
        copied.handle.remove()
        torch.testing.assert_close(2 * copied(images()), model(images()))

    def test_the_hooks_of_wandb_watch_are_left_out(self) -> None:
        model = network()
        model[0].register_forward_hook(lambda *_: pytest.fail("this would be logged"))
        next(iter(model[0]._forward_hooks.values())).__module__ = "wandb.integration.torch"
        torch.testing.assert_close(maps(model), maps(network()))


class TestWhatHangsOnAModule:
    def test_activations_with_their_graph(self) -> None:
        class Keeping(Around):
            def __init__(self) -> None:
                super().__init__()
                self.outputs: list[Tensor] = []

            def forward(self, x: Tensor) -> Any:
                self.last = super().forward(x)
                self.outputs.append(self.last)
                return self.last

        model = Keeping()
        model(images())
        last = model.last
        torch.testing.assert_close(maps(model), maps(network()))
        assert model.last is last
        assert len(model.outputs) == 1
        with watch(model) as private:
            for _ in range(4):
                private(images())
            assert len(private.outputs) == 2  # that of the user's pass, and of the last one

    def test_what_cannot_be_copied_is_shared(self) -> None:
        model = Around()
        with open("/dev/null") as file:
            things = [threading.Lock(), (i for i in range(3)), file]
            model.things = things  # type: ignore[assignment]
            copied: Any = private_copy(model)
        assert copied.things == things
        assert copied.things is not things

    def test_a_trainer_is_shared_where_it_is_named(self) -> None:
        model, trainer = Around(), Notes()
        model.reference = trainer  # type: ignore[assignment]
        assert private_copy(model, shared=[trainer]).reference is trainer
        assert private_copy(model).reference is not trainer

    def test_functions_refer_to_the_copy(self) -> None:
        model = Around()
        model.act = lambda x: model.network(x)  # type: ignore[assignment]
        model.method = model.network.forward  # type: ignore[assignment]
        model.plain = torch.relu  # type: ignore[assignment]
        copied: Any = private_copy(model)
        assert copied.act.__closure__[0].cell_contents is copied
        assert copied.method.__self__ is copied.network
        assert copied.plain is torch.relu

    def test_private_generators_are_not_advanced(self) -> None:
        class Noisy(Around):
            def __init__(self) -> None:
                super().__init__()
                self.noise = torch.Generator().manual_seed(5)

            def forward(self, x: Tensor) -> Any:
                return super().forward(x) + torch.randn(3, generator=self.noise)

        model = Noisy()
        before = model.noise.get_state()
        maps(model)
        assert torch.equal(model.noise.get_state(), before)

    def test_states_of_metrics_are_left_out(self) -> None:
        model = Around()
        model.mean = MeanMetric()
        model.accuracy = MulticlassAccuracy(3)
        model.mean.update(model(images()).sum())
        model.accuracy.update(model(images()), torch.tensor([0, 1, 2]))
        mean = model.mean.compute()
        copied: Any = private_copy(model)
        assert copied.mean.mean_value == 0
        copied.mean.update(torch.tensor(1e6))
        assert model.mean.compute() == mean
        assert copied.accuracy.tp.sum() == 0

    def test_optimizers_and_data_are_no_part_of_it(self) -> None:
        model = Around()
        model.optimizer = torch.optim.Adam(model.parameters())  # type: ignore[assignment]
        assert private_copy(model).optimizer is model.optimizer

    @pytest.mark.parametrize(
        "normalise",
        [
            torch.nn.utils.weight_norm,
            torch.nn.utils.spectral_norm,
            torch.nn.utils.parametrizations.weight_norm,
            torch.nn.utils.parametrizations.spectral_norm,
            lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        ],
        ids=["weight", "spectral", "parametrised weight", "parametrised spectral", "pruned"],
    )
    @pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated.*")
    def test_reparametrised_weights_after_a_forward(self, normalise: Any) -> None:
        model = network()
        normalise(model[0])
        model.train()(images())
        model.eval()(images())
        x = images().requires_grad_()
        (expected,) = torch.autograd.grad(model(x).diag().sum(), x)
        found = attribute(model, images(), targets=torch.tensor([0, 1, 2]), methods=["grad"])[
            "grad"
        ]
        torch.testing.assert_close(found, expected)

    def test_shared_weights_stay_shared_and_gradients_are_left_out(self) -> None:
        model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
        model["b"].weight = model["a"].weight
        model["a"](torch.ones(1, 2)).sum().backward()
        copied: Any = private_copy(model)
        assert copied["b"].weight is copied["a"].weight
        assert copied["a"].weight is not model["a"].weight
        assert copied["a"].weight.grad is None

    def test_a_twin_has_the_same_memory_and_tensors_of_its_own(self) -> None:
        model = private_copy(network())
        other: Any = twin(model)
        assert other[0].weight is not model[0].weight
        assert other[0].weight.data_ptr() == model[0].weight.data_ptr()

    def test_a_module_that_refuses_is_never_shared(self) -> None:
        class Refusing(nn.Module):
            def __deepcopy__(self, memo: Any) -> Any:
                raise RuntimeError("there can be only one")

        with pytest.raises(UnsupportedModelError, match=r"Refusing can't be copied.*only one"):
            Copier()({"inner": [Refusing()]})
