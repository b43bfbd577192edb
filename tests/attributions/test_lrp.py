"""LRP on whole networks: conservation, canonical forms, zennit and captum, and what is refused."""

import pytest
import torch
import torch.nn.functional as F
from known_networks import ResNet20, draw, trained_resnet20, trained_squeezenet
from lrp_networks import (
    Network,
    best,
    by_zennit,
    images,
    plain,
    residual_sums,
    resnet18,
    total,
)
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from explaindebug.attributions._autograd import canonizer as canonical
from explaindebug.attributions._autograd.backward import Backward
from explaindebug.attributions._engine.method import Method
from explaindebug.attributions.gradient import Gradient, InputGradient
from explaindebug.attributions.lrp import DeepTaylor, LRPEpsilon, LRPSequentialPresetAFlat
from explaindebug.core.errors import ConfigError, UnsupportedModelError
from explaindebug.models.bvd_cnn import BVDCNN

METHODS = [
    LRPEpsilon(),
    LRPSequentialPresetAFlat(),
    DeepTaylor(),
    DeepTaylor("bounded", -6, [6.0, 6.0, 6.0]),
]
every_method = pytest.mark.parametrize("method", METHODS, ids=["eps", "spaf", "taylor", "bounded"])


def fire(x: Tensor, stem: nn.Module, left: nn.Module, right: nn.Module, head: nn.Module) -> Tensor:
    """Squeeze and expand, as SqueezeNet does it."""
    x = F.max_pool2d(F.relu(stem(x)), 3, 2, ceil_mode=True)
    x = torch.cat([F.relu(left(x), inplace=True), F.relu(right(x), inplace=True)], 1)
    return torch.flatten(F.adaptive_avg_pool2d(F.relu(head(x)), 1), 1)


def squeezing() -> nn.Module:
    parts = {"left": nn.Conv2d(6, 4, 1), "right": nn.Conv2d(6, 4, 3, padding=1)}
    return Network(fire, stem=nn.Conv2d(3, 6, 3, 2), **parts, head=nn.Conv2d(8, 5, 1))


NETWORKS = {"plain": plain, "residual": lambda: draw(ResNet20(1, 6)), "squeezing": squeezing}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


# Conservation


@every_network
@pytest.mark.parametrize(
    "method", [LRPEpsilon(1e-12), LRPSequentialPresetAFlat(1e-12)], ids=["eps", "spaf"]
)
def test_relevance_sums_to_the_logit_without_biases(network, method):
    model, x = draw(network(), biases=False), images()
    target, logit = best(model, x)
    torch.testing.assert_close(total(method(model, x, target)), logit, rtol=1e-6, atol=0)


@pytest.mark.parametrize("network", [plain, squeezing])
@pytest.mark.parametrize("method", METHODS[2:], ids=["unbounded", "bounded"])
def test_deep_taylor_sums_to_the_logit_without_biases(network, method):
    model, x = draw(network(), biases=False), images()
    target, logit = best(model, x)
    maps = method(model, x, target)
    torch.testing.assert_close(total(maps), logit)
    assert (maps >= -1e-12).all()


def test_deep_taylor_loses_what_the_head_gives_to_sums_of_nothing():
    model, x = draw(ResNet20(1, 6), biases=False), images()  # the w^2 rule asks for no activation
    target, logit = best(model, x)
    kept = total(DeepTaylor()(model, x, target)) / logit
    assert (kept > 0.5).all()
    assert (kept < 1).all()


@pytest.mark.parametrize("network", [plain, squeezing])
def test_the_biases_keep_the_rest_of_the_logit(network):
    # a network of ReLUs is linear in (x, biases) around them: F = sum x dF/dx + sum b dF/db
    model, x = network(), images(1)
    biases = [m.bias.requires_grad_() for m in model.modules() if hasattr(m, "bias")]
    target, logit = best(model, x)
    share = sum(
        (b * g).sum() for b, g in zip(biases, torch.autograd.grad(logit, biases), strict=True)
    )
    model.requires_grad_(False)
    relevance = total(LRPEpsilon(1e-12)(model, x, target))
    torch.testing.assert_close(relevance + share, logit.detach(), rtol=1e-6, atol=1e-9)
    assert share.abs() > 0.01


@every_network
def test_a_small_epsilon_gives_input_times_gradient_in_a_network_of_relus(network):
    model, x = network(), images()
    target, _ = best(model, x)
    found = LRPEpsilon(1e-13)(model, x, target)
    torch.testing.assert_close(found, InputGradient()(model, x, target), rtol=1e-6, atol=1e-9)


@every_method
def test_explaining_a_worse_class_starts_from_its_own_logit(method):
    model, x = draw(squeezing(), biases=False), images()
    logits = model(x)
    for target in range(2):
        found = total(method(model, x, torch.full((3,), target)))
        torch.testing.assert_close(found, logits[:, target], rtol=1e-5, atol=1e-9)


def test_deep_taylor_gives_zeros_for_a_negative_logit():
    model, x = draw(plain()), images(20)
    logits = model(x)
    maps = DeepTaylor()(model, x, logits.argmin(1))
    negative = logits.amin(1) < 0
    assert negative.any()
    assert (maps[negative] == 0).all()


def test_one_logit_is_explained_with_its_sign():
    model, x = draw(BVDCNN(1, 12, widths=(4, 6), hidden=(8,)), biases=False), images()
    logit = model(x).flatten()
    for method in (LRPEpsilon(1e-12), LRPSequentialPresetAFlat(1e-12)):
        for_class_1 = method(model, x, torch.ones(3).long())
        for_class_0 = method(model, x, torch.zeros(3).long())
        torch.testing.assert_close(total(for_class_1), logit, rtol=1e-6, atol=0)
        torch.testing.assert_close(for_class_0, -for_class_1)
    for_both = [DeepTaylor()(model, x, torch.full((3,), c)) for c in (0, 1)]
    torch.testing.assert_close(total(for_both[0]), (-logit).clamp(min=0))
    torch.testing.assert_close(total(for_both[1]), logit.clamp(min=0))


# Canonical forms


def functional(x: Tensor, a: nn.Module, b: nn.Module, c: nn.Module, d: nn.Module) -> Tensor:
    x = F.max_pool2d(torch.relu(F.conv2d(x, a.weight, a.bias, padding=1)), 2)
    x = F.relu(b(x), inplace=True)
    x = F.dropout(F.linear(x.reshape(len(x), -1), c.weight, c.bias).clamp_(min=0), training=False)
    return d(x)


@every_method
def test_how_a_model_calls_its_operations_makes_no_difference(method):
    model, x = plain(), images()
    parts = [m for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
    other = Network(functional, **dict(zip("abcd", parts, strict=True)))  # the same modules
    target, _ = best(model, x)
    torch.testing.assert_close(method(other, x, target), method(model, x, target))


@every_method
def test_batch_norm_counts_as_part_of_the_layer_before_it(method):
    apart = draw(
        nn.Sequential(
            *(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3, groups=2), nn.BatchNorm2d(8, affine=False), nn.ReLU(inplace=True)),
            *(nn.Flatten(), nn.Linear(72, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4)),
        )
    )
    merged = nn.Sequential(*apart)
    for conv in (0, 4):
        merged[conv] = fuse_conv_bn_eval(apart[conv], apart[conv + 1])
        merged[conv + 1] = nn.Identity()
    merged[8] = torch.nn.utils.fusion.fuse_linear_bn_eval(apart[8], apart[9])
    merged[9] = nn.Identity()
    x = images()
    target, _ = best(apart, x)
    torch.testing.assert_close(method(apart, x, target), method(merged, x, target))


def unmergeable(x: Tensor, a: nn.Module, norm: nn.Module, b: nn.Module, d: nn.Module) -> Tensor:
    z = a(x)
    y = F.relu(norm(z)) + F.relu(z)  # z is used twice
    y = norm(torch.cat([y, b(y)], 1)[:, :6])
    return d(F.relu(y).mean((2, 3)))


def test_a_batch_norm_that_belongs_to_no_layer_follows_the_z_rule():
    parts = {"a": nn.Conv2d(3, 6, 3), "norm": nn.BatchNorm2d(6), "b": nn.Conv2d(6, 6, 1)}
    model = draw(Network(unmergeable, **parts, d=nn.Linear(6, 4)), biases=False)
    x = images()
    target, logit = best(model, x)
    found = LRPEpsilon(1e-12)(model, x, target)
    torch.testing.assert_close(total(found), logit, rtol=1e-6, atol=0)
    torch.testing.assert_close(found, InputGradient()(model, x, target), rtol=1e-6, atol=1e-9)


class Tokens(nn.Module):
    """Tokens (n, tokens, features), normalised by token or by feature between two layers."""

    def __init__(self, by: str, tokens: int = 9, features: int = 9) -> None:
        super().__init__()
        self.patch, self.mix = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, features)
        self.norm, self.head = nn.BatchNorm1d(tokens), nn.Linear(features, 4)
        self.by = by
        draw(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.patch(x).flatten(2).transpose(1, 2))
        if self.by == "token":
            x = self.norm(x)
        elif self.by == "feature":
            x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        else:
            x = self.norm(x.flatten(0, 1)).view_as(x)
        return self.head(F.relu(x).mean(1))


@pytest.mark.parametrize("by", ["token", "feature", "feature, in two dimensions"])
def test_a_batch_norm_is_merged_along_the_axis_of_the_units_only(by):
    model, x = Tokens(by), images()
    target, _ = best(model, x)
    found, expected = (method(model, x, target) for method in (LRPEpsilon(1e-12), InputGradient()))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("inputs", ["weights", "statistics"])
def test_a_batch_norm_that_the_image_conditions_is_refused(inputs):
    def conditioned(x: Tensor, a: nn.Module, d: nn.Module) -> Tensor:
        z = a(x)
        made, none = z.mean((0, 2, 3)), torch.ones(6).double()
        of = {"weights": (none, none, made, made), "statistics": (made, made.abs(), none, none)}
        return d(F.relu(F.batch_norm(z, *of[inputs])).mean((2, 3)))

    model = Network(conditioned, a=nn.Conv2d(3, 6, 3), d=nn.Linear(6, 4))
    with pytest.raises((UnsupportedModelError, RuntimeError), match=r"BatchNorm|running_"):
        LRPEpsilon()(model, images(), torch.zeros(3).long())


def test_what_is_merged_is_compared_with_what_ran(monkeypatch):
    merge = canonical._merged

    def wrong(linear, norm):
        both = merge(linear, norm)
        both.bias = both.bias + 1
        return both

    model = draw(
        nn.Sequential(
            *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()), nn.Flatten(), nn.Linear(600, 4)
        )
    )
    method, target = LRPEpsilon(), torch.zeros(1).long()
    method.passes.check(model, images(1), target)
    monkeypatch.setattr(canonical, "_merged", wrong)
    with pytest.raises(UnsupportedModelError, match="0 and the BatchNorm after it"):
        method.passes.check(model, images(1), target)


@every_method
@pytest.mark.parametrize("by", ["arithmetic", "batch_norm"])
def test_normalisation_inside_the_model_changes_no_map(method, by):
    model, pixels = plain(), images().sigmoid()
    mean, std = (
        torch.tensor(v).double().reshape(3, 1, 1) for v in ([0.4, 0.5, 0.6], [0.2, 0.3, 0.2])
    )
    norm = nn.BatchNorm2d(3, affine=False, eps=0).double().eval()
    norm.running_mean, norm.running_var = mean.flatten(), std.flatten() ** 2
    inside = {"arithmetic": lambda x: (x - mean) / std, "batch_norm": norm}[by]
    whole = Network(lambda x, net: net(inside(x)), net=model)
    target, _ = best(whole, pixels)
    expected = method(model, (pixels - mean) / std, target)
    torch.testing.assert_close(method(whole, pixels, target), expected)


def two_stems(x: Tensor, a: nn.Module, b: nn.Module, d: nn.Module) -> Tensor:
    return d(torch.cat([F.relu(a(x)), F.relu(b(x))], 1).mean((2, 3)))


def test_the_flat_rule_is_for_all_layers_next_to_the_image():
    model = Network(
        two_stems, a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(3, 4, 5, padding=1), d=nn.Linear(8, 4)
    )
    x = images()
    target, _ = best(model, x)
    maps = LRPSequentialPresetAFlat()(model, x, target)
    torch.testing.assert_close(maps, maps[:, :1].expand_as(maps))  # the same in each channel
    assert not torch.allclose(LRPEpsilon()(model, x, target), maps)


@every_method
def test_a_layer_used_twice_has_a_rule_for_each_use(method):
    def twice(x: Tensor, stem: nn.Module, conv: nn.Module, head: nn.Module) -> Tensor:
        return head(F.relu(conv(F.relu(conv(F.relu(stem(x)))))).mean((2, 3)))

    def apart(
        x: Tensor, stem: nn.Module, conv: nn.Module, same: nn.Module, head: nn.Module
    ) -> Tensor:
        return head(F.relu(same(F.relu(conv(F.relu(stem(x)))))).mean((2, 3)))

    parts = {
        "stem": nn.Conv2d(3, 6, 3),
        "conv": nn.Conv2d(6, 6, 3, padding=1),
        "head": nn.Linear(6, 4),
    }
    model = Network(twice, **parts)
    same = nn.Conv2d(6, 6, 3, padding=1)
    other = Network(apart, **{**parts, "same": same})
    same.load_state_dict(parts["conv"].state_dict())
    x = images()
    target, _ = best(model, x)
    torch.testing.assert_close(method(model, x, target), method(other, x, target))


def test_all_composites_share_a_forward_pass_and_do_not_disturb_each_other():
    model, x = draw(ResNet20(1, 6)), images()
    target, _ = best(model, x)
    methods = [Gradient(), *METHODS]
    together = Backward.run_together([m.passes for m in methods], model, x, target)
    for method, maps in zip(methods, together, strict=True):
        torch.testing.assert_close(maps, method(model, x, target), rtol=0, atol=1e-12)


@every_method
def test_a_map_does_not_depend_on_the_rest_of_the_batch(method):
    model, x = draw(ResNet20(1, 6)), images(4)
    target, _ = best(model, x)
    alone = torch.cat([method(model, x[i : i + 1], target[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(method(model, x, target), alone)


# References


def zennit_map(conv: object, dense: object) -> list[tuple[object, object]]:
    types, rules = pytest.importorskip("zennit.types"), pytest.importorskip("zennit.rules")
    sums = (types.AvgPool, pytest.importorskip("zennit.layer").Sum)
    return [
        (types.Activation, rules.Pass()),
        (sums, rules.Norm(1e-30)),
        (types.Convolution, conv),
        (nn.Linear, dense),
    ]


def agrees_with_zennit(method: Method, composite: object, model: nn.Module, x: Tensor) -> None:
    target, _ = best(model, x)
    expected = by_zennit(model, x, target, composite)
    scale = float(expected.abs().max())
    torch.testing.assert_close(method(model, x, target), expected, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("epsilon", [1e-7, 0.1])
def test_epsilon_agrees_with_zennit_on_resnet18(epsilon):
    rules = pytest.importorskip("zennit.rules")
    composite = pytest.importorskip("zennit.composites").LayerMapComposite(
        zennit_map(rules.Epsilon(epsilon), rules.Epsilon(epsilon)), canonizers=[residual_sums()]
    )
    agrees_with_zennit(LRPEpsilon(epsilon), composite, resnet18(), images(2, 33))


@pytest.mark.parametrize("network", [plain, resnet18])
def test_preset_a_flat_agrees_with_zennit_on_the_positive_bias(network):
    rules, types = pytest.importorskip("zennit.rules"), pytest.importorskip("zennit.types")
    composite = pytest.importorskip("zennit.composites").SpecialFirstLayerMapComposite(
        zennit_map(rules.ZPlus(1e-30), rules.Epsilon(0.1)),
        first_map=[(types.Convolution, rules.Flat(1e-30))],
        canonizers=[residual_sums()],
    )
    method = LRPSequentialPresetAFlat(bias="positive")
    agrees_with_zennit(method, composite, network(), images(2, 33 if network is resnet18 else 12))


@pytest.mark.parametrize("variant", ["unbounded", "bounded"])
def test_deep_taylor_agrees_with_zennit_on_the_positive_bias(variant):
    rules = pytest.importorskip("zennit.rules")
    first = {"unbounded": rules.ZPlus(1e-30), "bounded": rules.ZBox(-5.0, 6.0, 1e-30, "bias")}
    composite = pytest.importorskip("zennit.composites").NameLayerMapComposite(
        name_map=[(["0"], first[variant]), (["9"], rules.WSquare(1e-30, "bias"))],
        layer_map=zennit_map(rules.ZPlus(1e-30), rules.ZPlus(1e-30)),
    )
    method = DeepTaylor(variant, -5.0, 6.0, bias="positive")
    agrees_with_zennit(method, composite, plain(), images())


def test_the_whole_bias_is_the_positive_one_where_none_is_negative():
    model, x = plain(), images()
    for module in model.modules():
        if hasattr(module, "bias"):
            module.bias.abs_()
    target, _ = best(model, x)
    whole, positive = (LRPSequentialPresetAFlat(bias=b) for b in ("whole", "positive"))
    torch.testing.assert_close(whole(model, x, target), positive(model, x, target))


def test_epsilon_agrees_with_captum():
    lrp = pytest.importorskip("captum.attr").LRP
    rules = pytest.importorskip("captum.attr._utils.lrp_rules")
    model, x = draw(BVDCNN(3, 12, widths=(4, 6), hidden=(8,))), images()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.rule = rules.EpsilonRule(1e-9)
    target, _ = best(model, x)
    expected = lrp(model).attribute(x.requires_grad_(), target).detach()
    found = LRPEpsilon(1e-9)(model, x, target)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


# Real networks


@pytest.mark.parametrize(
    ("trained", "size"),
    [(trained_resnet20, 32), (trained_squeezenet, 96)],
    ids=["resnet", "squeeze"],
)
def test_trained_networks_in_single_precision(real_data, trained, size):
    model, x = trained(real_data), images(2, size).float()
    target, _ = best(model, x)
    eps = LRPEpsilon()(model, x, target)
    gradient = InputGradient()(model, x, target)
    torch.testing.assert_close(eps, gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))
    spaf = LRPSequentialPresetAFlat()(model, x, target)
    torch.testing.assert_close(spaf, spaf[:, :1].expand_as(spaf))
    for variant in (DeepTaylor(), DeepTaylor("bounded", -6, 6)):
        maps = variant(model, x, target)
        assert maps.isfinite().all()
        assert maps.abs().sum() > 0
    method = LRPSequentialPresetAFlat(bias="positive")  # the whole one: see the next test
    single, double = method(model, x, target), method(model.double(), x.double(), target)
    scale = float(double.abs().max())
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5 * scale)


def test_the_positive_bias_is_the_stable_one_behind_residual_sums(real_data):
    model, x = trained_resnet20(real_data).double(), images(8, 32)
    target, logit = best(model, x)
    shares = {
        bias: total(LRPSequentialPresetAFlat(bias=bias)(model, x, target)) / logit
        for bias in ("whole", "positive")
    }
    assert ((shares["positive"] > 0) & (shares["positive"] < 1)).all()
    assert (shares["whole"].abs() > 1).any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("vgg16", 32), ("resnet50", 64)])
def test_large_networks_conserve_relevance(name, size):
    model = getattr(pytest.importorskip("torchvision.models"), name)(weights=None)
    model, x = draw(model, biases=False), images(1, size)
    target, logit = best(model, x)
    for method in (LRPEpsilon(1e-12), LRPSequentialPresetAFlat(1e-12)):
        torch.testing.assert_close(total(method(model, x, target)), logit, rtol=1e-4, atol=0)


# What is refused


class Squeeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean((2, 3), keepdim=True)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        return F.softmax(tokens @ tokens.transpose(1, 2), 2).mean(2)[..., None, None] + x


class Made(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, x[:1, :, :1, :1].transpose(0, 1).expand(-1, x.shape[1], -1, -1))


class Inverse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.div(torch.ones_like(x), x + 9)


def batch_statistics() -> nn.Module:
    return nn.BatchNorm2d(6, track_running_stats=False)


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x**2


REFUSED = {
    "BatchNorm": batch_statistics,
    "convolution": Made,
    "quotient": Inverse,
    "power": Square,
    "ConvolutionBackward|[Cc]onvolution": lambda: nn.ConvTranspose2d(6, 6, 3),
}
# Relevance goes through these where it may be negative.
SIGNED = {
    "GELU": nn.GELU,
    "Sigmoid": nn.Sigmoid,
    "SiLU": nn.SiLU,
    "LeakyReLU": nn.LeakyReLU,
    "Hardtanh": nn.ReLU6,
    "LayerNorm": lambda: nn.LayerNorm([10, 10]),
    "GroupNorm": lambda: nn.GroupNorm(2, 6),
    "product": Squeeze,
    "Softmax": Attention,
}


def odd(make):
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
    body.odd = make()
    return draw(nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)))


def refused(method, name, make):
    target = torch.zeros(3).long()
    with pytest.raises(UnsupportedModelError, match=rf"{method.label} .*({name}) in 0\.odd of Seq"):
        method(odd(make), images(), target)


@every_method
@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_without_a_rule_is_refused_by_name(method, name):
    refused(method, name, REFUSED[name])


@pytest.mark.parametrize("name", SIGNED)
def test_deep_taylor_refuses_what_is_not_for_networks_of_relus(name):
    refused(DeepTaylor(), name, SIGNED[name])
    maps = LRPEpsilon()(odd(SIGNED[name]), images(), torch.zeros(3).long())
    assert maps.isfinite().all()
    assert maps.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"variant": "both"}, "'both'"),
        ({"variant": "bounded"}, "needs low and high"),
        ({"variant": "bounded", "low": 1.0, "high": 1.0}, "below high"),
        ({"variant": "bounded", "low": 0.0, "high": [1.0, -1.0, 1.0]}, "below high"),
    ],
)
def test_deep_taylor_says_what_is_wrong_with_its_options(options, words):
    with pytest.raises(ConfigError, match=words):
        DeepTaylor(**options)


@pytest.mark.parametrize("method", [LRPEpsilon, LRPSequentialPresetAFlat])
def test_an_epsilon_of_zero_is_refused(method):
    with pytest.raises(ConfigError, match="above 0"):
        method(epsilon=0)


def test_deep_taylor_refuses_images_outside_of_its_range():
    model, x = plain(), images()
    with pytest.raises(ConfigError, match="sees values from"):
        DeepTaylor("bounded", 0, 1)(model, x, torch.zeros(3).long())


@pytest.mark.parametrize("method", [LRPEpsilon(), LRPSequentialPresetAFlat(), DeepTaylor()])
def test_class_0_of_one_logit_is_class_1_of_the_negated_network(method):
    """Also where a convolution gives the logit."""
    head = nn.Conv2d(6, 1, 3)
    model = draw(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), head, nn.AvgPool2d(8), nn.Flatten()))
    x, target = images(), torch.tensor([0, 1, 0])
    found = [method(model, x, target), method(model, x, 1 - target)]
    with torch.no_grad():
        head.weight.neg_(), head.bias.neg_()
    torch.testing.assert_close(found, [method(model, x, 1 - target), method(model, x, target)])
    assert any(maps.any() for maps in found)
