"""What holds for every registered method, on every small network."""

import random
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from explaindebug.attributions import ATTRIBUTIONS, Plan, attribute, not_finite
from explaindebug.attributions._engine.specs import all_names
from explaindebug.core.errors import AttributionError, UnsupportedModelError


def spec_of(name: str) -> dict[str, dict[str, Any]]:
    """The method with few samples."""
    options = {f.name for f in fields(ATTRIBUTIONS[name])}
    cheaper = {"samples": 160 if "segmenter" in options else 30, "steps": 5}
    return {name: {k: v for k, v in cheaper.items() if k in options}}


GRAD_CAM = {"captum": {"name": "LayerGradCam", "relu_attributions": True}}
COMPOSITE = [{"first": {"zbox": [-9, 9]}}, {"Conv2d": {"gamma": 0.25}}, {"Linear": "epsilon"}]
CHOSEN: list[dict[str, dict[str, Any]]] = [
    {"lrp": {"composite": COMPOSITE}},
    {"attnlrp": {"gamma": 0.25}},
    GRAD_CAM,
]
SPECS = [spec_of(name) for name in all_names(references=True)] + CHOSEN


def test_the_sweep_covers_every_method() -> None:
    attention = {"rollout", "gradattn", "legrad"}  # see test_attention_maps.py
    assert {name for spec in SPECS for name in spec} == set(ATTRIBUTIONS) - attention


# Method and network of conftest.py -> the layer for which it is refused. Nothing else is.
REFUSED = {
    ("captum", "mlp"): "Conv2d",  # GradCAM needs a convolution
    ("gradcam", "mlp"): "Sequential",  # no feature map
    ("pnet", "residual"): "sum",
    ("pattribution", "residual"): "sum",
}


@pytest.fixture(params=SPECS, ids=lambda spec: str(next(iter(spec))))
def spec(request: pytest.FixtureRequest) -> Any:
    name, network = next(iter(request.param)), request.node.callspec.params.get("network")
    if (name, network) in REFUSED:
        pytest.skip(f"{name} is refused for {network}: see test_what_is_refused")
    return request.param


@pytest.mark.parametrize(
    ("spec", "network", "layer"),
    [(next(s for s in SPECS if m in s), n, layer) for (m, n), layer in REFUSED.items()],
    indirect=["network"],
)
def test_what_is_refused(
    spec: Any, network: nn.Module, layer: str, images: Tensor, references: Tensor
) -> None:
    with pytest.raises(UnsupportedModelError, match=layer):
        maps_of(spec, network, images, references)


def maps_of(spec: Any, model: nn.Module, images: Tensor, references: Tensor, **how: Any) -> Tensor:
    targets = torch.arange(len(images)) % 2
    (maps,) = attribute(
        model, images, targets=targets, methods=spec, references=references, **how
    ).values()
    return maps


def largest(x: Tensor) -> float:
    return x.abs().max().item()


def test_maps_have_the_images_shape_and_are_finite(
    spec: Any, network: nn.Module, images: Tensor, references: Tensor
) -> None:
    maps = maps_of(spec, network, images, references)
    assert maps.shape == images.shape
    assert maps.dtype == torch.float32
    assert not not_finite({"maps": maps})
    assert largest(maps) > 0


UNSIGNED = [spec for spec in SPECS if not ATTRIBUTIONS[next(iter(spec))].signed]


@pytest.mark.parametrize("spec", UNSIGNED, indirect=True)
def test_maps_without_sign_are_not_negative(
    spec: Any, network: nn.Module, images: Tensor, references: Tensor
) -> None:
    assert maps_of(spec, network, images, references).min() >= 0


def test_maps_are_the_same_every_time(
    spec: Any, network: nn.Module, images: Tensor, references: Tensor
) -> None:
    first = maps_of(spec, network, images, references)
    torch.manual_seed(99)
    assert torch.equal(first, maps_of(spec, network, images, references))


def test_a_map_depends_neither_on_its_neighbours_nor_on_their_number(
    spec: Any, network: nn.Module, images: Tensor, references: Tensor
) -> None:
    together = maps_of(spec, network, images, references)
    tolerance = 1e-5 * largest(together)
    alone = maps_of(spec, network, images[:1], references)
    chunked = maps_of(spec, network, images, references, chunk=2)
    torch.testing.assert_close(alone, together[:1], rtol=0, atol=tolerance)
    torch.testing.assert_close(chunked, together, rtol=0, atol=tolerance)


def test_the_number_of_workers_changes_no_bit(
    spec: Any, network: nn.Module, images: Tensor, references: Tensor
) -> None:
    one, two = (maps_of(spec, network, images, references, chunk=2, workers=w) for w in (1, 2))
    assert torch.equal(one, two)


def operations(run: Callable[[], Any]) -> int:
    """Multiplications and additions of convolutions and linear layers, forth and back."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


# Captum's work is not known beforehand; AttnLRP's gamma is not counted, as for one layer of many.
@pytest.mark.parametrize("spec", SPECS[:-2])
def test_the_cost_is_the_work_that_is_done(spec: Any, images: Tensor, references: Tensor) -> None:
    widths = [3, 4, 8, 8, 8]  # no layer does most of the work
    layers = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)]
    blocks = (module for layer in layers for module in (layer, nn.ReLU()))
    network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(8 * 12**2, 2)).requires_grad_(False)
    (method,) = Plan([spec]).prepare(network, references).methods.values()
    forward = operations(lambda: network(images))
    work = operations(lambda: method(network, images, torch.zeros(5, dtype=torch.long)))
    forth, back = method.passes.calls
    assert work / forward == pytest.approx(forth + back, rel=0.1)
    assert method.passes.cost == (forth + back) / 2


def traces(model: nn.Module, images: Tensor) -> list[Any]:
    """All that a method could leave behind."""
    hooks = [
        len(table)
        for module in model.modules()
        for key, table in sorted(vars(module).items())
        if key.endswith("_hooks")
    ]
    state = [(k, v.clone(), v._version) for k, v in model.state_dict().items()]
    parameters = [(p.requires_grad, p.grad) for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    numpy = np.random.get_state()  # noqa: NPY002
    generators = [torch.get_rng_state(), random.getstate(), numpy[1].tobytes(), numpy[2:]]
    picture = [images.clone(), images._version, images.requires_grad, images.grad]
    return [hooks, state, parameters, modes, generators, picture, torch.get_num_threads()]


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def test_nothing_is_left_behind(
    spec: Any, network: nn.Module, images: Tensor, references: Tensor
) -> None:
    network.train()
    before = traces(network, images)
    maps_of(spec, network, images, references, workers=2)
    assert equal(before, traces(network, images))


class Failing(nn.Module):
    """A network that fails in the forward passes after the first few."""

    def __init__(self, network: nn.Module, works: int) -> None:
        super().__init__()
        self.network = network
        self.works = works

    def forward(self, x: Tensor) -> Tensor:
        self.works -= 1
        if self.works < 0:
            raise RuntimeError("out of order")
        return self.network(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("works", [0, 1, 2, 3, 4])
def test_nothing_is_left_behind_after_an_exception(
    spec: Any, works: int, images: Tensor, references: Tensor
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2)).train()
    failing = Failing(network, works)
    before = traces(failing, images)
    failed = False
    try:
        maps_of(spec, failing, images, references, workers=1)
    except (AttributionError, UnsupportedModelError, RuntimeError) as error:
        failed = "out of order" in str(error)
    assert failed or works > 0  # some need few passes, none needs no pass
    assert failing.works == works  # the copy failed, not the model
    assert equal(before, traces(failing, images))


def test_a_class_has_another_map_than_its_rival(
    spec: Any, images: Tensor, references: Tensor
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2))
    a, b = (
        next(
            iter(
                attribute(network, images, targets=k, methods=spec, references=references).values()
            )
        )
        for k in (0, 1)
    )
    assert not torch.allclose(a, b, rtol=1e-2, atol=0)
