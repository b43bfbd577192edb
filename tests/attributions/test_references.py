"""Every method against the libraries that have it, too, on networks as people use them.

In float64 a map differs from the library's by less than a millionth of that map's largest value;
the perturbed images of LIME and KernelSHAP, and shap's gradients, run in float32, where it is less
than a ten-thousandth. Where a library draws random numbers it is handed ours, so that nothing
is left to chance.

Where we differ on purpose the library is asked for what we mean: one logit becomes two, one for
each class, and the alpha1-beta0 rule counts the positive bias only (the last test has the whole
one, as a closed form). PatternNet and PatternAttribution have no library: test_pattern_fit.py has
their closed forms. What a ViT's GELU and attention refuse is in test_networks.py.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from captum.attr._utils.lrp_rules import EpsilonRule
from known_networks import ResNet20, draw, trained_resnet20, trained_squeezenet
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from explaindebug.attributions import Method
from explaindebug.attributions._engine.targets import predicted, score
from explaindebug.attributions._support.superpixels import Grid, superpixels
from explaindebug.attributions.gradcam import GradCam
from explaindebug.attributions.gradient import Gradient, InputGradient
from explaindebug.attributions.guided_backprop import DeconvNet, GuidedBackprop
from explaindebug.attributions.lime_shap import KernelShap, Lime, Surrogate
from explaindebug.attributions.lrp import DeepTaylor, LRPEpsilon, LRPSequentialPresetAFlat
from explaindebug.attributions.path_gradients import ExpectedGradients, IntegratedGradients
from explaindebug.attributions.smoothgrad import SmoothGrad, SmoothGradSquared, VarGrad
from explaindebug.core.rng import normal
from explaindebug.models import BVDCNN

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}  # of the largest value of a map

# Networks


def vgg16() -> nn.Module:
    """Its dense layers narrow: torchvision's take a gigabyte in float64."""
    with torch.device("meta"):
        model = tv.vgg16()
    model.features.to_empty(device="cpu")
    dense = [nn.Linear(512 * 7 * 7, 64), nn.Linear(64, 64)]
    rectified = [m for layer in dense for m in (layer, nn.ReLU(inplace=True), nn.Dropout())]
    model.classifier = nn.Sequential(*rectified, nn.Linear(64, 10))
    return draw(model)


def vit() -> nn.Module:
    model = tv.VisionTransformer(32, 8, 2, 2, 16, 16, num_classes=10)
    nn.init.normal_(model.heads.head.weight)  # torchvision starts it from zero
    return model


def timm_resnet() -> nn.Module:
    return draw(pytest.importorskip("timm").create_model("test_resnet", num_classes=10))


@dataclass(frozen=True)
class Network:
    """How to make one, with random weights or with trained ones from the folder of real data."""

    make: Callable[[], nn.Module]
    trained: Callable[[Path], nn.Module] | None = None
    targets: tuple[int, ...] = ()  # of the trained one, in place of the predicted classes
    size: int = 32  # px
    images: int = 2


NETWORKS = {
    "bvd-cnn": Network(lambda: draw(BVDCNN(10, 32))),
    "one-logit": Network(lambda: draw(BVDCNN(1, 32))),
    "vgg16": Network(vgg16, images=1),
    "squeezenet": Network(  # DeconvNet's maps are zero for nearly all other classes
        lambda: draw(tv.squeezenet1_0()), trained_squeezenet, targets=(204, 243), size=64
    ),
    "resnet20": Network(lambda: draw(ResNet20()), trained_resnet20),
    "resnet50": Network(lambda: draw(tv.resnet50(num_classes=10)), size=33, images=1),
    "vit": Network(vit),
    "timm": Network(timm_resnet, size=48),
}
LAST = ("relu5", "features.29", "classifier.2", "layer4", "layer3")  # that return feature maps
ALL = set(NETWORKS)
RECTIFIED = ALL - {"vit"}
PLAIN = {"bvd-cnn", "one-logit", "vgg16", "squeezenet"}  # no function, sum or re-used module
PREDICTED = {name for name in NETWORKS if not NETWORKS[name].targets}  # all that shap explains


class BothSides(nn.Module):
    """One logit as two, one for each class, for libraries that know of no other way."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logit = self.model(x)
        return torch.cat([-logit, logit], 1)


@dataclass(frozen=True)
class Case:
    """A network, and what is to be explained."""

    model: nn.Module
    images: Tensor  # (n, 3, size, size)
    targets: Tensor  # (n,)
    references: Tensor  # (m, 3, size, size)

    @property
    def classifier(self) -> nn.Module:
        """The network with one logit for each class, at least two."""
        return BothSides(self.model) if self.model(self.images).shape[1] == 1 else self.model

    @property
    def x(self) -> Tensor:
        """The images, where the gradient arrives."""
        return self.images.clone().requires_grad_()

    @property
    def single(self) -> "Case":
        """One image in float32: convolutions are five times faster there."""
        model, images = copy.deepcopy(self.model).float(), self.images[:1].float()
        return Case(model, images, self.targets[:1], self.references.float())


def without_eps(model: nn.Module) -> nn.Module:
    """The same network, with BatchNorm's eps in its variance: zennit merges all but the eps."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_var += norm.eps
        norm.eps = 0.0
    return model


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path | None:
    """The folder of real data; without it, networks with random weights must do."""
    try:
        return request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        return None


@lru_cache(maxsize=1)  # the methods of a network come one after the other
def case_of(name: str, folder: Path | None) -> Case:
    network = NETWORKS[name]
    torch.manual_seed(0)
    trained = network.trained is not None and folder is not None
    model = network.trained(folder) if trained else network.make()
    model = without_eps(model.double().eval().requires_grad_(False))
    shape, generator = (3, network.size, network.size), torch.Generator().manual_seed(0)
    images = torch.randn(network.images + 3, *shape, generator=generator, dtype=torch.float64)
    images, references = images[:-3], images[-3:]
    given = trained and network.targets
    targets = torch.tensor(network.targets) if given else predicted(model(images))
    return Case(model, images, targets, references)


# captum


def captum_gradient(case: Case, method: Gradient) -> Tensor:
    return captum.attr.Saliency(case.classifier).attribute(case.x, case.targets, abs=False)


def captum_input_gradient(case: Case, method: InputGradient) -> Tensor:
    return captum.attr.InputXGradient(case.classifier).attribute(case.x, case.targets)


def captum_integrated(case: Case, method: IntegratedGradients) -> Tensor:
    how = {"n_steps": method.steps, "method": "gausslegendre"}
    path = captum.attr.IntegratedGradients(case.classifier)
    return path.attribute(case.images, target=case.targets, **how)


def captum_noisy(kind: str) -> Callable[[Case, SmoothGrad], Tensor]:
    def maps(case: Case, method: SmoothGrad) -> Tensor:
        tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(case.classifier))
        how = {"nt_type": kind, "nt_samples": method.samples, "abs": False}
        noise = torch.stack([normal(method.seed, k, case.images) for k in range(method.samples)])
        found = []
        for x, target in zip(case.images, case.targets, strict=True):  # each has its own range
            width = method.noise * float(x.max() - x.min())
            with patch("torch.normal", lambda mean, widths: widths * noise):
                found += tunnel.attribute(x[None], target=int(target), stdevs=width, **how)
        return torch.stack(found)

    return maps


def captum_expected(case: Case, method: ExpectedGradients) -> Tensor:
    points, gradients = method.passes.points, captum.attr.GradientShap(case.classifier)
    alphas = np.array([point.alpha for point in points])
    baselines = torch.stack([point.baseline for point in points])
    how = {"baselines": baselines, "n_samples": len(points), "stdevs": 0.0}
    with (
        patch("numpy.random.choice", lambda _, k: np.arange(k)),
        patch("numpy.random.uniform", lambda *_: alphas),
    ):
        pairs = zip(case.images, case.targets, strict=True)
        maps = [gradients.attribute(x[None], target=int(target), **how) for x, target in pairs]
    return torch.cat(maps)


def captum_rectified(name: str) -> Callable[[Case, Method], Tensor]:
    def maps(case: Case, method: Method) -> Tensor:
        rectified = getattr(captum.attr, name)(out_of_place(case.classifier))
        return rectified.attribute(case.x, target=case.targets)

    return maps


def captum_relevance(case: Case, method: LRPEpsilon) -> Tensor:
    model = out_of_place(case.classifier)
    for module in model.modules():
        module.rule = EpsilonRule(method.epsilon)
    return captum.attr.LRP(model).attribute(case.x, target=case.targets)


def out_of_place(model: nn.Module) -> nn.Module:
    """A copy without in-place ReLUs, on which captum's hooks fail."""
    model = copy.deepcopy(model)
    for relu in (m for m in model.modules() if isinstance(m, nn.ReLU)):
        relu.inplace = False
    return model


def captum_cam(case: Case, method: GradCam) -> Tensor:
    model = out_of_place(case.classifier)
    modules = dict(model.named_modules())
    last = next(modules[end] for name in LAST for end in (name, f"model.{name}") if end in modules)
    cam = captum.attr.LayerGradCam(model, last)
    maps = cam.attribute(case.images, target=case.targets, relu_attributions=method.relu)
    return F.interpolate(maps, case.images.shape[2:], mode="bilinear").expand_as(case.images)


# zennit


class Hookable(nn.Module):
    """A network whose sums and functions go through modules, where zennit has its hooks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        summed = pytest.importorskip("zennit.layer").Sum
        self.model, self.relu, self.mean = model, nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.sums = nn.ModuleList(summed() for _ in range(16))  # ResNet-50 has as many

    def forward(self, x: Tensor) -> Tensor:
        with ThroughModules(self):
            return self.model(x)


class ThroughModules(TorchFunctionMode):
    def __init__(self, network: Hookable) -> None:
        self.network, self.sums = network, iter(network.sums)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is F.relu:
            return self.network.relu(args[0])
        if function in (Tensor.add, Tensor.add_):
            return next(self.sums)(torch.stack(args, -1))
        if function is F.avg_pool2d and args[1] == args[0].shape[-1]:  # of the whole map
            return self.network.mean(args[0])
        return function(*args, **(kwargs or {}))


def by_zennit(case: Case, composite: Any, start: Callable[[Tensor], Tensor]) -> Tensor:
    """What arrives at the images when `start` of the target's logit is sent back."""
    x = case.x
    with composite.context(Hookable(case.model)) as network:
        logits = network(x)
        score_of = score(logits, case.targets).sum()
        (sign,) = torch.autograd.grad(score_of, logits, retain_graph=True)  # 0, 1, or -1
        return torch.autograd.grad(logits, x, sign * start(sign * logits.detach()))[0]


def zennit_rectified(name: str) -> Callable[[Case, Method], Tensor]:
    def maps(case: Case, method: Method) -> Tensor:
        composite = getattr(pytest.importorskip("zennit.composites"), name)()
        return by_zennit(case, composite, torch.ones_like)

    return maps


def zennit_relevance(case: Case, method: Method) -> Tensor:
    composites, canonizers, rules = (
        pytest.importorskip(f"zennit.{name}") for name in ("composites", "canonizers", "rules")
    )
    by_kind, by_name = zennit_rules(case.model, method, rules)
    composite = composites.NameLayerMapComposite(
        name_map=by_name,
        layer_map=composites.layer_map_base(1e-30) + by_kind,
        canonizers=[canonizers.SequentialMergeBatchNorm()],
    )
    return by_zennit(case, composite, F.relu if isinstance(method, DeepTaylor) else Tensor.clone)


def zennit_rules(model: nn.Module, method: Method, rules: Any) -> tuple[list[Any], list[Any]]:
    """Our composites in zennit's words: rules by the kind of layer, and by the name of some."""
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    first, last = ([f"model.{names[place]}"] for place in (0, -1))
    plus = rules.ZPlus(1e-30)
    match method:
        case LRPEpsilon():
            return [((nn.Conv2d, nn.Linear), rules.Epsilon(method.epsilon))], []
        case LRPSequentialPresetAFlat():
            by_kind = [(nn.Conv2d, plus), (nn.Linear, rules.Epsilon(method.epsilon))]
            return by_kind, [(first, rules.Flat(1e-30))]
        case DeepTaylor():
            box = rules.ZBox(method.low, method.high, 1e-30, "bias")
            by_name = [(first, box)] if method.variant == "bounded" else []
            if isinstance(model.get_submodule(names[-1]), nn.Linear):  # no ReLU behind it
                by_name.append((last, rules.WSquare(1e-30, "bias")))
            return [((nn.Conv2d, nn.Linear), plus)], by_name
    raise TypeError(method)


# shap and lime


def shap_expected(case: Case, method: ExpectedGradients) -> Tensor:
    """Of one image."""
    points = method.passes.points
    rows, alphas = iter(range(len(points))), iter([point.alpha for point in points])
    baselines = torch.stack([point.baseline for point in points])
    explainer = pytest.importorskip("shap").GradientExplainer(case.classifier, baselines)
    with (
        patch("numpy.random.choice", lambda _: next(rows)),
        patch("numpy.random.uniform", lambda: next(alphas)),
    ):
        maps, _ = explainer.shap_values(case.images, nsamples=len(points), ranked_outputs=1)
    return torch.from_numpy(maps[..., 0]).float()


def painted(
    case: Case, method: Surrogate, weights: Callable[[Tensor, int, Tensor], np.ndarray]
) -> Tensor:
    """The maps of weights for an image, its target and its superpixels (h, w)."""
    labels = superpixels(case.images, method.segmenter)
    maps = [
        torch.from_numpy(weights(x, int(target), places))[places].expand_as(x)
        for x, target, places in zip(case.images, case.targets, labels, strict=True)
    ]
    return torch.stack(maps).float()


def shap_kernel(case: Case, method: KernelShap) -> Tensor:
    shap, classifier = pytest.importorskip("shap"), case.classifier

    def weights(x: Tensor, target: int, labels: Tensor) -> np.ndarray:
        def values(z: np.ndarray) -> np.ndarray:
            perturbed = torch.from_numpy(z).float()[:, None, labels] * x
            return classifier(perturbed)[:, target].double().numpy()

        none = np.zeros((1, int(labels.max()) + 1))
        explainer = shap.KernelExplainer(values, none, silent=True)
        return explainer.shap_values(none + 1, nsamples=method.samples, l1_reg=0, silent=True)[0]

    return painted(case, method, weights)


class Told(np.random.RandomState):
    """A random state whose coins fall as it is told."""

    def __init__(self, coins: np.ndarray) -> None:
        super().__init__(0)
        self.coins = coins

    def randint(self, *_: Any, **__: Any) -> np.ndarray:
        return self.coins.ravel().astype(int)


def lime_image(case: Case, method: Lime) -> Tensor:
    lime, classifier = pytest.importorskip("lime.lime_image"), case.classifier

    def logits(pictures: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
        return classifier(images).double().numpy()

    def weights(x: Tensor, target: int, labels: Tensor) -> np.ndarray:
        coins = Told(method.passes.sampler(int(labels.max()) + 1).coalitions)
        explanation = lime.LimeImageExplainer(random_state=coins).explain_instance(
            x.permute(1, 2, 0).double().numpy(),
            logits,
            labels=[target],
            top_labels=None,
            num_samples=method.samples,
            segmentation_fn=lambda picture: labels.numpy(),
        )
        return np.array([weight for _, weight in sorted(explanation.local_exp[target])])

    return painted(case, method, weights)


# All of them

Peer = Callable[[Case, Any], Tensor]
TWO, SIX = {"samples": 2}, Grid(2, 3)
RELEVANCES = {
    "lrp_eps": LRPEpsilon(),
    "lrp_spaf": LRPSequentialPresetAFlat(bias="positive"),
    "deep_taylor": DeepTaylor(bias="positive"),
    "bounded deep_taylor": DeepTaylor("bounded", -6.0, 6.0, bias="positive"),
}
REFERENCES: dict[str, tuple[Method, Peer, set[str]]] = {
    "grad, captum": (Gradient(), captum_gradient, ALL),
    "inputgrad, captum": (InputGradient(), captum_input_gradient, ALL),
    "sgrad, captum": (SmoothGrad(**TWO), captum_noisy("smoothgrad"), ALL),
    "sgradsq, captum": (SmoothGradSquared(**TWO), captum_noisy("smoothgrad_sq"), ALL),
    "vgrad, captum": (VarGrad(**TWO), captum_noisy("vargrad"), ALL),
    "intgrad, captum": (IntegratedGradients(3), captum_integrated, ALL),
    "egrad, captum": (ExpectedGradients(**TWO), captum_expected, ALL),
    "gradcam, captum": (GradCam(relu=False), captum_cam, RECTIFIED),
    "gbp, captum": (GuidedBackprop(), captum_rectified("GuidedBackprop"), PLAIN),
    "gbp, zennit": (GuidedBackprop(), zennit_rectified("GuidedBackprop"), RECTIFIED),
    "deconvnet, captum": (DeconvNet(), captum_rectified("Deconvolution"), PLAIN),
    "deconvnet, zennit": (DeconvNet(), zennit_rectified("DeconvNet"), RECTIFIED),
    "lrp_eps, captum": (LRPEpsilon(1e-12), captum_relevance, PLAIN),
    **{f"{name}, zennit": (m, zennit_relevance, RECTIFIED) for name, m in RELEVANCES.items()},
}
SINGLE: dict[str, tuple[Method, Peer, set[str]]] = {  # one image in float32
    "egrad, shap": (ExpectedGradients(**TWO), shap_expected, PREDICTED),
    "kernelshap, shap": (KernelShap(64, SIX, "zeros"), shap_kernel, ALL),
    "lime, lime": (Lime(20, SIX), lime_image, ALL),
}


def each(table: dict[str, tuple[Method, Peer, set[str]]]) -> Any:
    pairs = [(network, row) for network in NETWORKS for row in table if network in table[row][2]]
    return pytest.mark.parametrize(("network", "row"), pairs)


def agree(case: Case, method: Method, peer: Peer, tolerance: float | None = None) -> None:
    """That both maps differ nowhere by more than the tolerance, as a share of the largest value."""
    method = method.prepare(case.model, case.references)
    expected = peer(case, method).detach()
    found = method(case.model, case.images, case.targets)
    scale = float(expected.abs().max())
    assert scale > 0
    tolerance = TOLERANCE[found.dtype] if tolerance is None else tolerance
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


@each(REFERENCES)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
def test_maps_agree(network: str, row: str, folder: Path | None) -> None:
    method, peer, _ = REFERENCES[row]
    agree(case_of(network, folder), method, peer)


@each(SINGLE)
def test_maps_agree_in_single_precision(network: str, row: str, folder: Path | None) -> None:
    method, peer, _ = SINGLE[row]
    # A ReLU's input that is zero but for rounding has a gradient in one library and none in the
    # other: by the number of threads, 0.6 % of the scale in ResNet-20. In float64, captum agrees.
    tolerance = 0.02 if isinstance(method, ExpectedGradients) else None
    agree(case_of(network, folder).single, method, peer, tolerance)


def test_the_whole_bias_counts_as_its_formula_says() -> None:
    layers = [nn.Conv2d(3, 4, 2), nn.Conv2d(4, 5, 1), nn.Linear(5, 2)]  # the images have 2 x 2 px
    stem, conv, head = layers
    model = draw(nn.Sequential(stem, nn.ReLU(), conv, nn.ReLU(), nn.Flatten(), head))
    x = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    target = predicted(model(x))

    def back(relevance: Tensor, a: Tensor, layer: nn.Module) -> Tensor:
        w = layer.weight.flatten(1)
        parts = a[:, None].clamp(min=0) * w.clamp(min=0) + a[:, None].clamp(max=0) * w.clamp(max=0)
        return (parts / (parts.sum(2) + layer.bias)[..., None] * relevance[..., None]).sum(1)

    a1 = stem(x).relu()
    a2, logit = conv(a1).relu().flatten(1), model(x).amax(1, keepdim=True)
    w = head.weight[target]
    through_head = a2 * w * logit / (logit + 0.1 * logit.sign())
    spread = back(through_head, a1.flatten(1), conv).sum(1) / 12
    flat = LRPSequentialPresetAFlat()(model, x, target)
    torch.testing.assert_close(flat, spread[:, None, None, None].expand_as(x))
    through_head = w**2 / (w**2).sum(1, keepdim=True) * logit.relu()
    taylor = back(back(through_head, a1.flatten(1), conv), x.flatten(1), stem).view_as(x)
    torch.testing.assert_close(DeepTaylor()(model, x, target), taylor)
    for method in (LRPSequentialPresetAFlat, DeepTaylor):
        whole, positive = (method(bias=bias)(model, x, target) for bias in ("whole", "positive"))
        assert not torch.allclose(whole, positive, rtol=0.01)
