"""Every method on networks as they are used: a right map, or a sentence that names the modules."""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn

from explaindebug.attributions import ATTRIBUTIONS, Plan, not_finite
from explaindebug.attributions._engine.specs import all_names
from explaindebug.attributions.guided_backprop import DeconvNet, GuidedBackprop
from explaindebug.core.isolation import watch

SIDE = 48
GRADIENTS = {"grad", "inputgrad", "sgrad", "sgradsq", "vgrad", "intgrad", "egrad"}
SURROGATES = {"lime", "kernelshap"}
ATTENTION = {"rollout", "gradattn", "legrad"}


def vit() -> nn.Module:
    model = tv.VisionTransformer(SIDE, 12, 2, 2, 16, 16, num_classes=5)
    nn.init.normal_(model.heads.head.weight)  # torchvision starts it from zero
    return model


def timm_resnet() -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model("test_resnet", num_classes=5)  # type: ignore[no-any-return]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "squeezenet": lambda: tv.squeezenet1_0(num_classes=5),  # concatenations, pooling at the end
    "resnet18": lambda: tv.resnet18(num_classes=5),  # in-place additions, re-used ReLUs
    "densenet": lambda: tv.DenseNet(8, (2, 2), 16, num_classes=5),  # functional, in-place ReLUs
    "mobilenet": lambda: tv.mobilenet_v2(num_classes=5, width_mult=0.35),  # ReLU6
    "convnext": lambda: tv.ConvNeXt([tv.convnext.CNBlockConfig(8, None, 2)], num_classes=5),  # GELU
    "vit": vit,  # attention
    "timm": timm_resnet,
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def cheap(name: str) -> dict[str, dict[str, Any]]:
    options = {f.name for f in fields(ATTRIBUTIONS[name])}
    fewer = {"samples": 250 if "segmenter" in options else 3, "steps": 3}
    return {name: {k: v for k, v in fewer.items() if k in options}}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_method_gives_a_map_or_names_what_it_cannot_pass(name: str, pictures: Tensor) -> None:
    model = made(name)
    names = all_names(references=True, transformers=True)
    plan = Plan([cheap(method) for method in names])
    with watch(model) as private:
        refusals = plan.refusals(private, pictures, pictures)
        maps = plan.without(refusals).prepare(private, pictures)(private, pictures)
    assert maps.keys() >= GRADIENTS | SURROGATES
    assert not not_finite(maps)
    assert all(m.abs().max() > 0 for m in maps.values())
    assert maps.keys() >= {"attnlrp", "lrp_eps", "lrp_spaf", "gradcam"}
    attention = ATTENTION & refusals.keys()
    assert attention == (set() if name == "vit" else ATTENTION)
    modules = {name for name, _ in model.named_modules()} - {""}
    for method, error in refusals.items():
        if method in attention:
            assert f"{type(model).__name__} has no attention" in str(error)
        else:
            assert any(f"in {module}" in str(error) for module in modules), error


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilenet", r"Hardtanh in features\.0\.2"),
        ("convnext", r"GELU in features\.1\.0\.block\.4"),
        ("vit", r"attention in encoder\.layers\.encoder_layer_0\.self_attention"),
    ],
)
def test_rectifier_methods_refuse_other_activations(
    name: str, words: str, pictures: Tensor
) -> None:
    with watch(made(name)) as private:
        refusals = Plan(["gbp", "deconvnet"]).refusals(private, pictures)
    assert list(refusals) == ["gbp", "deconvnet"]
    for error in refusals.values():
        assert re.search(words, str(error))


class Guided(torch.autograd.Function):
    """Guided backpropagation as one would write it into a network of one's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return g * (x > 0) * (g > 0)


class Deconvolved(Guided):
    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * (g > 0)


@pytest.mark.parametrize("name", ["squeezenet", "resnet18"])
@pytest.mark.parametrize(
    ("method", "own"), [(GuidedBackprop(), Guided), (DeconvNet(), Deconvolved)]
)
def test_rectifier_methods_equal_a_network_with_the_rule_built_in(
    name: str, method: Any, own: type[Guided], pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x, targets = made(name).double(), pictures.double(), torch.tensor([1, 3])
    ours = method(model, x, targets)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: own.apply(x))
    x.requires_grad_()
    score = model(x).gather(1, targets[:, None]).sum()
    torch.testing.assert_close(ours, torch.autograd.grad(score, x)[0])
