"""Grad-CAM, HiResCAM and LayerCAM: closed forms, and which layer is taken in which network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.swin_transformer import SwinTransformer

from explaindebug.attributions import Plan, all_zero, attribute
from explaindebug.attributions.gradcam import GradCam
from explaindebug.attributions.gradient import Gradient
from explaindebug.core.errors import ConfigError, MapWarning, UnsupportedModelError
from explaindebug.models import BVDCNN

SIDE = 8
VARIANTS = ("gradcam", "hirescam", "layercam")
TARGETS = torch.tensor([2, 0, 1])


def pictures(side: int = SIDE, width: int | None = None) -> Tensor:
    shape = (3, 3, side, width or side)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()


def network(*head: nn.Module, padding: int = 1) -> nn.Module:
    """A convolution with a ReLU, whose map has the images' size, and a head."""
    torch.manual_seed(0)
    stem = (nn.Conv2d(3, 5, 3, padding=padding), nn.ReLU())
    return nn.Sequential(*stem, *head).double().eval()


def pooled() -> nn.Module:
    return network(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))


def flattened() -> nn.Module:
    return network(nn.Flatten(), nn.Linear(5 * SIDE**2, 4))


def exact(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.expand_as(found), rtol=0, atol=1e-9)


# Closed forms


@pytest.mark.parametrize("variant", ["gradcam", "hirescam"])
def test_before_pooling_and_a_linear_layer_it_is_the_class_activation_map(variant: Any) -> None:
    model, x = pooled(), pictures()
    weights = model[-1].weight[TARGETS][..., None, None] / SIDE**2
    total = (weights * model[:2](x)).sum(1, keepdim=True).detach()
    assert (total < 0).any()
    exact(GradCam(variant)(model, x, TARGETS), total.relu())
    exact(GradCam(variant, relu=False)(model, x, TARGETS), total)


def test_hirescam_sums_to_the_logit_before_one_linear_layer() -> None:
    model, x = flattened(), pictures()
    maps = GradCam("hirescam", relu=False)(model, x, TARGETS)
    logits = model(x).gather(1, TARGETS[:, None])[:, 0] - model[-1].bias[TARGETS]
    exact(maps[:, 0].sum((1, 2)), logits.detach())


def test_each_variant_is_its_formula() -> None:
    model, x = flattened(), pictures()
    values = model[:2](x).detach()
    gradient = model[-1].weight[TARGETS].detach().view(3, 5, SIDE, SIDE)
    weights = {
        "gradcam": gradient.mean((2, 3), keepdim=True),
        "hirescam": gradient,
        "layercam": gradient.clamp(min=0),
    }
    for variant, weight in weights.items():
        expected = (weight * values).sum(1, keepdim=True).clamp(min=0)
        exact(GradCam(variant)(model, x, TARGETS), expected)


def test_a_small_map_is_enlarged_bilinearly_whatever_the_proportions() -> None:
    model, x = pooled().insert(2, nn.Conv2d(5, 5, 3, stride=4).double()), pictures(24, 40)
    small = GradCam(relu=False, layer="2")(model, x, TARGETS)
    values = model[:3](x).detach()
    weights = model[-1].weight[TARGETS].detach()[..., None, None] / values[0, 0].numel()
    total = (weights * values).sum(1, keepdim=True)
    exact(small, F.interpolate(total, (24, 40), mode="bilinear", align_corners=False))


# Which layer


class Tokens(nn.Module):
    """Patches with a class token that attend to each other, and what reads them."""

    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.read = read
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 2, 8))
        blocks = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
                  for _ in range(2)]  # fmt: skip
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.blocks(torch.cat([self.token.expand(len(x), -1, -1), x], 1))
        return self.head(self.read(x))


def vgg() -> nn.Module:
    """Two pools after the last ReLU, and a dropout."""
    model = tv.vgg.VGG(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 512, 1, 2),
                                     nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout()),
                       init_weights=False)  # fmt: skip
    model.classifier = nn.Sequential(nn.Linear(512 * 49, 5))
    return model


def swin() -> nn.Module:
    return SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4], num_classes=5)


def timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: pytest.importorskip("timm").create_model(name, num_classes=5, **options)


def convnext() -> nn.Module:
    block = tv.convnext.CNBlockConfig
    return tv.ConvNeXt([block(8, 16, 1), block(16, None, 2)], num_classes=5)


FEW: dict[str, Any] = {"num_classes": 5}
PLAIN: dict[str, Any] = FEW | {"init_weights": False}
# Network, side of its images -> what is taken, and a module that returns the same
LAYERS: dict[str, tuple[Callable[[], nn.Module], int, str, str]] = {
    "bvd-cnn": (lambda: BVDCNN(5, 48), 48, "ReLU in relu5, 3 x 3", "relu5"),
    "vgg": (vgg, 32, "ReLU in features.3, 15 x 15", "features.3"),
    "vgg, small": (vgg, 6, "ReLU in features.3, 2 x 2", "features.3"),
    "resnet": (lambda: tv.resnet18(**FEW), 64, "ReLU in layer4.1.relu, 2 x 2", "layer4"),
    "resnet, small": (lambda: tv.resnet18(**FEW), 32, "ReLU in layer3.1.relu, 2 x 2", "layer3"),
    "densenet": (lambda: tv.DenseNet(8, (2, 2), 16, **FEW), 48, "ReLU in DenseNet, 6 x 6", ""),
    "inception": (lambda: tv.inception_v3(**PLAIN), 107, "Cat in Mixed_7c, 2 x 2", "Mixed_7c"),
    "googlenet": (lambda: tv.googlenet(**PLAIN), 64, "Cat in inception5b, 2 x 2", "inception5b"),
    "squeezenet": (lambda: tv.squeezenet1_1(**FEW), 64, "ReLU in classifier.2, 3 x 3",
                   "classifier.2"),
    "mobilenet": (lambda: tv.mobilenet_v3_small(**FEW), 64, "Hardswish in features.12.2, 2 x 2",
                  "features"),
    "efficientnet": (lambda: tv.efficientnet_b0(**FEW), 64, "SiLU in features.8.2, 2 x 2",
                     "features"),
    "convnext": (convnext, 32, "sum in features.3.1, 4 x 4", "features.3"),
    "mnasnet": (lambda: tv.mnasnet0_5(**FEW), 64, "ReLU in layers.16, 2 x 2", "layers"),
    "shufflenet": (lambda: tv.shufflenet_v2_x0_5(**FEW), 64, "ReLU in conv5.2, 2 x 2", "conv5"),
    "vit": (lambda: tv.VisionTransformer(32, 8, 2, 2, 16, 16, **FEW), 32,
            "LayerNorm in encoder.layers.encoder_layer_1.ln_1, 4 x 4",
            "encoder.layers.encoder_layer_1.ln_1"),
    "swin": (swin, 64, "LayerNorm in norm, 8 x 8", "norm"),
    "timm resnet": (timm("test_resnet"), 64, "ReLU in layer4.0.act2, 2 x 2", "layer4"),
    "timm vit": (timm("test_vit"), 160, "LayerNorm in blocks.5.norm1, 10 x 10",
                 "blocks.5.norm1"),
    "timm swin": (
        timm("swin_tiny_patch4_window7_224", img_size=64, window_size=4, depths=(1, 1, 1, 1),
             embed_dim=12, num_heads=(1, 1, 1, 1)),
        64, "LayerNorm in norm, 2 x 2", "norm",
    ),
    "timm efficientnet": (timm("test_efficientnet"), 64, "SiLU in bn2.act, 2 x 2", "bn2"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_the_last_feature_map_is_taken(name: str) -> None:
    make, side, taken, layer = LAYERS[name]
    torch.manual_seed(0)
    model = make().eval()
    for weight in model.parameters():
        if weight.ndim > 1 and not weight.any():
            nn.init.normal_(weight)  # a head that starts from zero
    x, targets = pictures(side)[:2].float(), torch.tensor([1, 3])
    assert GradCam().taken(model, x, targets) == taken
    maps = GradCam(relu=False)(model, x, targets)
    assert maps.any()
    if layer:
        assert torch.equal(maps, GradCam(relu=False, layer=layer)(model, x, targets))


def test_a_class_token_is_read_from_the_tokens_that_the_last_attention_takes() -> None:
    torch.manual_seed(0)
    model, x = Tokens(lambda x: x[:, 0]).double().eval(), pictures(16, 8)
    taken = GradCam().taken(model, x, TARGETS)
    assert taken == "LayerNorm in blocks.1.norm1, 4 x 2"
    kept: list[Tensor] = []
    model.blocks[1].norm1.register_forward_hook(lambda m, a, output: kept.append(output))
    score = model(x).gather(1, TARGETS[:, None]).sum()
    gradient = torch.autograd.grad(score, kept[0])[0]
    weights = gradient[:, 2:].mean(1, keepdim=True)
    total = (weights * kept[0][:, 2:]).sum(2).view(3, 1, 4, 2).relu().detach()
    assert total.any()
    exact(
        GradCam()(model, x, TARGETS),
        F.interpolate(total, (16, 8), mode="bilinear", align_corners=False),
    )


def test_a_mean_over_tokens_leads_back_to_all_of_them() -> None:
    torch.manual_seed(0)
    model, x = Tokens(lambda x: x[:, 2:].mean(1)).double().eval(), pictures(16, 8)
    assert GradCam().taken(model, x, TARGETS) == "sum in blocks.1, 4 x 2"


class LastAxis(nn.Module):
    """Convolutions whose channels come last on the way to the head."""

    def __init__(self, *, last: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, padding=1)
        self.layout = nn.Identity()
        self.head = nn.Linear(5, 4)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.layout(x.permute(0, 2, 3, 1) if self.last else x).tanh()
        return self.head(x.mean((1, 2) if self.last else (2, 3)))


@pytest.mark.parametrize("layer", ["", "layout"])
def test_channels_may_come_last(layer: str) -> None:
    first, last = LastAxis(last=False).double(), LastAxis(last=True).double()
    last.load_state_dict(first.state_dict())
    x = pictures(SIDE, 12)
    maps = [GradCam(layer=layer)(model, x, TARGETS) for model in (first, last)]
    assert maps[0].any()
    exact(*maps)


@pytest.mark.parametrize("reentrant", [False])
def test_checkpointed_activations_change_nothing(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.model, x, use_reentrant=reentrant)  # type: ignore[no-any-return]

    model, x = flattened().float(), pictures().float()
    plain, again = (
        attribute(m, x, targets=TARGETS, methods=["gradcam", "grad"], workers=1)
        for m in (model, Checkpointed(model))
    )
    for method, maps in plain.items():
        assert torch.equal(maps, again[method])


def test_the_output_of_a_named_layer_is_as_it_was_before_it_is_overwritten() -> None:
    model, x = flattened(), pictures()
    plain = GradCam(layer="0", relu=False)(model, x, TARGETS)
    assert not torch.equal(plain, GradCam(layer="1", relu=False)(model, x, TARGETS))
    model[1].inplace = True
    assert torch.equal(GradCam(layer="0", relu=False)(model, x, TARGETS), plain)


# Refusals


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 4), nn.ReLU(), nn.Linear(4, 4))


class Attending(nn.Module):
    """A head that attends to the feature map, so that nothing is pooled or flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.key, self.value = nn.Linear(6, 3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu().flatten(2).transpose(1, 2)
        weights = self.key(x).softmax(1)
        return (weights.transpose(1, 2) @ self.value(x))[:, 0]


class Queried(nn.Module):
    """A query of its own attends in two heads, whose outputs are flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.query = nn.Conv2d(3, 6, 3), nn.Parameter(torch.randn(1, 2, 1, 3))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu().flatten(2).unflatten(1, (2, 3)).transpose(2, 3)
        query = self.query.expand(len(x), -1, -1, -1)
        x = F.scaled_dot_product_attention(query, x, x).transpose(1, 2)
        return self.head(x.reshape(len(x), 6))


def patchless() -> nn.Module:
    """Tokens of which no convolution has made a grid."""

    class Unfolded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(48, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.embed(F.unfold(x, 4, stride=4).transpose(1, 2)).relu().mean(1))

    return Unfolded()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (dense, "there is none before the logits"),
        (Attending, r"hidden by a __getitem__ of \(1, 3, 4\)"),
        (Queried, r"hidden by a reshape of \(1, 1, 2, 3\)"),
        (patchless, "its 4 tokens are no grid"),
    ],
)
def test_a_network_without_a_feature_map_is_refused(
    make: Callable[[], nn.Module], reason: str
) -> None:
    model, x = make().eval(), pictures().float()
    with pytest.raises(UnsupportedModelError, match=f"{reason}.*layer="):
        attribute(model, x, methods="gradcam")


def test_a_head_that_attends_is_explained_at_a_layer_that_is_named() -> None:
    torch.manual_seed(0)
    maps = attribute(Attending().eval(), pictures().float(), methods={"gradcam": {"layer": "stem"}})
    assert maps["gradcam"].any()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"variant": "scorecam"}, ConfigError, "unknown variant 'scorecam'"),
        ({"layer": 3}, ConfigError, "layer must be a module's name, got 3"),
        ({"relu": "no"}, ConfigError, "relu must be true or false, got 'no'"),
        ({"layer": "5"}, ConfigError, "has no layer '5'"),
        ({"layer": "4"}, UnsupportedModelError, r"layer 4 of Sequential returns \(1, 4\)"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        attribute(pooled().float(), pictures().float(), methods={"gradcam": options})


# With others


class Counting(nn.Module):
    """Counts the images that pass, over all copies."""

    seen: list[int]

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        type(self).seen.append(len(x))
        return self.model(x)  # type: ignore[no-any-return]


def test_variants_and_other_methods_of_one_pass_share_it() -> None:
    variants = [GradCam(variant) for variant in VARIANTS]  # type: ignore[arg-type]
    assert len({method.passes for method in variants}) == 1
    assert {method.label for method in variants} == {"Grad-CAM", "HiResCAM", "LayerCAM"}
    model, x = Counting(flattened().float()), pictures().float()
    Counting.seen = []
    together = Plan([*variants, "grad", "gbp"])(model.requires_grad_(False), x, TARGETS, workers=1)
    passes = [n for n in Counting.seen if n == 3 and len(Counting.seen) > 1]
    assert Counting.seen[-1] == 3
    assert len(passes) <= 2  # the survey's images in a batch, and ours
    torch.testing.assert_close(together["grad"], Gradient()(model, x, TARGETS))
    for key, method in zip(list(together)[:3], variants, strict=True):
        torch.testing.assert_close(together[key], method(model, x, TARGETS))


def test_a_plan_says_which_layer_is_taken() -> None:
    model, x = flattened().float(), pictures().float()
    assert Plan(["grad", "gradcam"]).remarks(model, x) == {"gradcam": "ReLU in 1, 8 x 8"}


def test_a_map_that_is_zero_everywhere_is_told() -> None:
    model = pooled().float()
    with torch.no_grad():
        model[-1].weight.clamp_(max=0)
    with pytest.warns(MapWarning, match="3 of 3 maps are zero everywhere"):
        maps = attribute(model, pictures().float(), targets=0, methods="gradcam")
    assert all_zero(maps) == {"gradcam": [0, 1, 2]}
