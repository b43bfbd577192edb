"""Captum's classes as methods."""

import warnings
from typing import Any

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions import ATTRIBUTIONS, Plan, attribute
from explaindebug.attributions.captum_adapter import Captum
from explaindebug.core.errors import AttributionError, ConfigError, UnsupportedModelError

TARGETS = torch.tensor([0, 1, 2, 3, 0])


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 4),
    ).eval()


def maps_of(model: nn.Module, images: Tensor, options: dict[str, Any], **how: Any) -> Tensor:
    return attribute(
        model, images, targets=TARGETS[: len(images)], methods={"captum": options}, **how
    )["captum"]


def test_grad_cam_is_enlarged_to_the_image(model: nn.Module, images: Tensor) -> None:
    options = {"name": "LayerGradCam", "layer": "3", "relu_attributions": True}
    maps = maps_of(model, images, options)
    activations = model[:4](images).detach().requires_grad_()
    logits = model[4:](activations.clone()).gather(1, TARGETS[:, None]).sum()
    weights = torch.autograd.grad(logits, activations)[0].mean((2, 3), keepdim=True)
    cam = (weights * activations).sum(1, keepdim=True).relu()
    expected = F.interpolate(cam, (12, 12), mode="bilinear").expand(-1, 3, -1, -1)
    torch.testing.assert_close(maps, expected)


def test_the_last_convolution_is_the_layer_by_default(model: nn.Module, images: Tensor) -> None:
    named = maps_of(model, images, {"name": "LayerGradCam", "layer": "3"})
    assert torch.equal(named, maps_of(model, images, {"name": "LayerGradCam"}))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Saliency", {"abs": False}),
        ("InputXGradient", {}),
        ("IntegratedGradients", {"n_steps": 7, "baselines": 0.5}),
        ("DeepLift", {}),
        ("GuidedBackprop", {}),
        ("Occlusion", {"sliding_window_shapes": [3, 4, 4], "strides": [3, 2, 2]}),
    ],
)
def test_maps_are_captums(
    name: str, options: dict[str, Any], model: nn.Module, images: Tensor
) -> None:
    maps = maps_of(model, images, {"name": name, **options})
    model[1].inplace = model[4].inplace = False
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = getattr(captum.attr, name)(model)
        theirs = explainer.attribute(images.clone().requires_grad_(), target=TARGETS, **given)
    torch.testing.assert_close(maps, theirs.detach(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "NoiseTunnel", "of": "InputXGradient", "nt_samples": 4, "stdevs": 0.2},
        {"name": "GradientShap", "n_samples": 4},
        {"name": "ShapleyValueSampling", "n_samples": 2, "feature_mask": "thirds"},
    ],
    ids=lambda options: options["name"],
)
def test_random_classes_are_reproducible_and_know_no_neighbours(
    options: dict[str, Any], model: nn.Module, images: Tensor, references: Tensor
) -> None:
    if "feature_mask" in options:
        rows = torch.arange(3).repeat_interleave(4)
        options = options | {"feature_mask": rows[None, None, :, None].repeat(1, 3, 1, 12)}
    maps = maps_of(model, images, options, references=references)
    torch.manual_seed(17)
    again = maps_of(model, images, options, references=references, workers=2, chunk=2)
    torch.testing.assert_close(maps, again, rtol=1e-5, atol=1e-8)
    other = maps_of(model, images, options | {"seed": 1}, references=references)
    assert not torch.allclose(maps, other)


def test_a_subclass_has_a_name_of_its_own(
    model: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ATTRIBUTIONS, "_entries", dict(ATTRIBUTIONS._entries))

    @ATTRIBUTIONS.register("captum_cam")
    class GradCam(Captum):
        label = "Grad-CAM"

        def __init__(self, **options: Any) -> None:
            super().__init__("LayerGradCam", **options)

    assert "captum_cam" in Plan("all").methods
    specs = ["captum_cam", {"captum_cam": {"layer": "0"}}]
    maps = attribute(model, images, targets=0, methods=specs)
    assert list(maps) == ["captum_cam", "captum_cam(layer=0)"]
    plain = attribute(model, images, targets=0, methods={"captum": {"name": "LayerGradCam"}})[
        "captum"
    ]
    assert torch.equal(maps["captum_cam"], plain)


def test_one_logit_speaks_for_its_class(images: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(432, 1))
    options = {"captum": {"name": "Saliency", "abs": False}}
    maps = attribute(model, images[:2], targets=torch.tensor([1, 0]), methods=options)["captum"]
    torch.testing.assert_close(maps[0], -maps[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "LayerGradCAM"}, "no class 'LayerGradCAM'.*Did you mean 'LayerGradCam'"),
        ({"name": "FeaturePermutation"}, "no class 'FeaturePermutation' for single images"),
        ({"name": "Saliency", "absolute": True}, "no option 'absolute'. Did you mean 'abs'"),
        ({"name": "LayerGradCam", "layer": "9"}, "has no layer '9'"),
        ({"name": "Occlusion"}, "needs sliding_window_shapes"),
        ({"name": "GradientShap"}, "needs baselines.*references=images"),
    ],
)
def test_bad_options_are_refused(
    options: dict[str, Any], words: str, model: nn.Module, images: Tensor
) -> None:
    with pytest.raises(ConfigError, match=words):
        maps_of(model, images, options)


def test_what_captum_cannot_do_is_refused_with_its_words(model: nn.Module, images: Tensor) -> None:
    with pytest.raises(UnsupportedModelError, match=r"captum's LRP can't explain Sequential.*rule"):
        maps_of(model, images, {"name": "LRP"})
    dense = nn.Sequential(nn.Flatten(), nn.Linear(432, 4))
    with pytest.raises(UnsupportedModelError, match=r"has no nn.Conv2d"):
        maps_of(dense, images, {"name": "LayerGradCam"})
    with pytest.raises(AttributionError, match="which is not a map"):
        maps_of(model, images, {"name": "LayerConductance", "layer": "7"})


def test_tables_call_it_by_its_captum_class_or_by_its_own_label() -> None:
    class GradCam(Captum):
        label = "Grad-CAM"

        def __init__(self) -> None:
            super().__init__("LayerGradCam")

    assert Captum("LayerGradCam").label == "LayerGradCam"
    assert GradCam().label == "Grad-CAM"
    assert Captum("LayerGradCam") == Captum("LayerGradCam")
