"""LRP with a composite of the user's: which rule goes where, zennit's maps, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from known_networks import draw
from lrp_networks import Network, best, by_zennit, images, plain, residual_sums, resnet18, total
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from explaindebug.attributions import ATTRIBUTIONS, Plan, attribute
from explaindebug.attributions._autograd.backward import Backward
from explaindebug.attributions._autograd.entries import entries_of, written
from explaindebug.attributions._autograd.ops import Linear
from explaindebug.attributions._autograd.places import At, Named, OfClass
from explaindebug.attributions.lrp import (
    AlphaBeta,
    DeepTaylor,
    Epsilon,
    Flat,
    Gamma,
    LRPEpsilon,
    LRPSequentialPresetAFlat,
    WSquare,
    ZBox,
    ZPlus,
    lrp,
)
from explaindebug.core.errors import ConfigError, UnsupportedModelError

LOW, HIGH = -6.0, 6.0
ALL = (nn.Module, Epsilon())


class Small(nn.Module):
    """Convolutions, BatchNorm and a residual sum, with ReLUs as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.head = nn.Linear(6, 4)
        draw(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        return self.head(F.relu(self.block(x) + x).mean((2, 3)))


def zennit_rules() -> Any:
    return pytest.importorskip("zennit.rules")


def first_of(model: nn.Module) -> str:
    return next(n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear))


# Ours: by kind, and of the first layer -> zennit's rules for the same places.
PAIRS: dict[str, tuple[Any, Any, Any]] = {
    "epsilon": (Epsilon(1e-3), Epsilon(0.1), None),
    "gamma": (Gamma(0.25), Epsilon(1e-6), None),
    "gamma everywhere": (Gamma(2.0), Gamma(0.5), None),
    "alpha 2 beta 1": (AlphaBeta(2, 1), AlphaBeta(1.5, 0.5), None),
    "zplus, flat": (ZPlus(), Epsilon(0.1), Flat()),
    "gamma, zbox": (Gamma(0.25), Epsilon(1e-6), ZBox(LOW, HIGH)),
    "gamma, wsquare": (Gamma(1.0), Epsilon(1e-6), WSquare()),
}


def by_others(rule: Any) -> Any:
    """The rule as zennit has it, with a stabiliser that is next to nothing."""
    z = zennit_rules()
    match rule:
        case Epsilon():
            return z.Epsilon(rule.epsilon)
        case Gamma():
            return z.Gamma(rule.gamma, 1e-30)
        case AlphaBeta():
            return z.AlphaBeta(float(rule.alpha), float(rule.beta), 1e-30)
        case ZPlus():
            return z.ZPlus(1e-30)
        case Flat():
            return z.Flat(1e-30)
        case WSquare():
            return z.WSquare(1e-30, "bias")
        case ZBox():
            return z.ZBox(rule.low, rule.high, 1e-30, "bias")
    raise TypeError(rule)


@pytest.mark.parametrize("network", [plain, resnet18])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_composite_agrees_with_zennit(network: Callable[[], nn.Module], pair: str) -> None:
    conv, dense, first = PAIRS[pair]
    model, x = network(), images(2, 33 if network is resnet18 else 12)
    types, sums = pytest.importorskip("zennit.types"), pytest.importorskip("zennit.layer").Sum
    theirs = pytest.importorskip("zennit.composites").NameLayerMapComposite(
        name_map=[([first_of(model)], by_others(first))] if first else [],
        layer_map=[
            (types.Activation, zennit_rules().Pass()),
            ((types.AvgPool, sums), zennit_rules().Norm(1e-30)),
            (nn.Conv2d, by_others(conv)),
            (nn.Linear, by_others(dense)),
        ],
        canonizers=[residual_sums()],
    )
    target, _ = best(model, x)
    expected = by_zennit(model, x, target, theirs)
    entries = [*([("first", first)] if first else []), (nn.Conv2d, conv), (nn.Linear, dense)]
    found = lrp(composite=entries)(model, x, target)
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("rule", [Gamma(0.25), AlphaBeta(2, 1), ZPlus(), Epsilon(1e-12)])
@pytest.mark.parametrize("network", [plain, Small])
def test_relevance_sums_to_the_logit_without_biases(
    rule: Any, network: Callable[[], nn.Module]
) -> None:
    model, x = draw(network(), biases=False), images()
    target, logit = best(model, x)
    composite = [("last", Epsilon(1e-12)), (nn.Module, rule)]
    if rule != Epsilon(1e-12):  # no bias, but in the merged BatchNorm, whose mean is 0 here
        assert not torch.allclose(
            lrp(composite=composite)(model, x, target), LRPEpsilon()(model, x, target), rtol=1e-2
        )
    maps = lrp(composite=composite)(model, x, target)
    torch.testing.assert_close(total(maps), logit, rtol=1e-6, atol=0)


@pytest.mark.parametrize("network", [plain, Small])
@pytest.mark.parametrize(
    ("preset", "composite"),
    [
        (LRPEpsilon(0.01), [("*", Epsilon(0.01))]),
        (
            LRPSequentialPresetAFlat(0.2, "positive"),
            {"first": "flat", "unrectified": {"epsilon": 0.2}, "Linear": {"epsilon": 0.2},
             "Conv2d": "zplus"},
        ),
        (
            DeepTaylor("bounded", LOW, HIGH, "whole"),
            [("first", ZBox(LOW, HIGH)), ("unrectified", "wsquare"), (nn.Module, ZPlus("whole"))],
        ),
    ],
    ids=["eps", "spaf", "taylor"],
)  # fmt: skip
def test_a_preset_is_a_composite(
    preset: Any, composite: Any, network: Callable[[], nn.Module]
) -> None:
    model, x = network(), images()
    target, logit = best(model, x)
    assert (logit > 0).all()  # DeepTaylor starts from that
    assert torch.equal(lrp(composite=composite)(model, x, target), preset(model, x, target))


# Places


def rules_of(composite: Any, model: nn.Module) -> dict[str, Any]:
    """Which rule each layer gets."""
    seen: dict[str, Any] = {}
    method = lrp(composite=composite)
    (rule,) = [method.passes.rule]
    found = type(rule).rule_for

    class Spy(type(rule)):  # type: ignore[misc]
        def rule_for(self, op: Linear) -> Any:
            chosen = found(self, op)
            seen[op.module or op.kind] = chosen
            return chosen

    spy = Spy(rule.label, rule.entries)
    Backward(spy).run(model, images(2), torch.zeros(2).long())
    return seen


A, B, C, D = Epsilon(1.0), Epsilon(2.0), Epsilon(3.0), Epsilon(4.0)


@pytest.mark.parametrize(
    ("composite", "expected"),
    [
        ([(nn.Conv2d, A), (nn.Linear, B)], {"stem": A, "block.0": A, "head": B}),
        ([("first", A), ("last", B), ("*", C)], {"stem": A, "block.0": C, "head": B}),
        ([("unrectified", A), (nn.Module, B)], {"stem": B, "block.0": B, "head": A}),
        ([("block.*", A), ("s?em", B), ("*", C)], {"stem": B, "block.0": A, "head": C}),
        ([("*", A), ("block.*", B), (nn.Conv2d, C)], {"stem": A, "block.0": A, "head": A}),
        ([("[sh]*", A), ("Conv2d", B)], {"stem": A, "block.0": B, "head": A}),
    ],
)
def test_the_first_entry_that_matches_counts(composite: Any, expected: Any) -> None:
    assert rules_of(composite, Small()) == expected


class OwnConv(nn.Conv2d):
    pass


class Holder(nn.Module):
    """A weight of its own, and a function that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(6, 6, 1, 1).double())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel)


def held(x: Tensor, a: nn.Module, b: nn.Module, c: nn.Module, d: nn.Module) -> Tensor:
    return d(F.relu(c(F.relu(b(F.relu(a(x)))))).mean((2, 3)))


def odd() -> nn.Module:
    model = Network(held, a=OwnConv(3, 6, 3), b=Holder(), c=nn.Conv2d(6, 6, 1), d=nn.Linear(6, 4))
    weight_norm(model.parts["c"])  # its weight is computed, so that no parameter is it
    return model.requires_grad_(False)


def test_a_place_is_told_by_function_and_by_the_module_that_holds_the_weight_or_calls() -> None:
    a, b, c, d = (f"parts.{name}" for name in "abcd")
    by_class = [(OwnConv, A), (Holder, B), (nn.Conv2d, C), (nn.Linear, D)]
    assert rules_of(by_class, odd()) == {a: A, b: B, c: C, d: D}
    by_name = [(b, A), (c, B), ("*", C)]
    assert rules_of(by_name, odd()) == {a: C, b: A, c: B, d: C}
    by_kind = [(nn.Conv2d, A), ("Linear", B)]  # nothing is asked of modules: as the functions say
    assert list(rules_of(by_kind, odd()).values()) == [A, A, A, B]


def test_a_layer_without_a_rule_is_refused_by_its_name() -> None:
    x, target = images(), torch.zeros(3).long()
    with pytest.raises(UnsupportedModelError, match=r"no rule for head \(Linear\) of Small"):
        lrp(composite=[(nn.Conv2d, Gamma())])(Small(), x, target)
    with pytest.raises(UnsupportedModelError, match=r"stem \(Conv2d\), head \(Linear\) of Small"):
        lrp(composite=[("block.0", Gamma())])(Small(), x, target)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("stam", "no layer of Small is 'stam'. Did you mean 'stem'"),
        ("conv2d", "Did you mean 'Conv2d'"),
        (nn.ReLU, "no layer of Small is 'ReLU'"),
        (OwnConv, "no layer of Small is 'OwnConv'"),
    ],
)
def test_a_place_that_matches_no_layer_is_refused(place: Any, words: str) -> None:
    with pytest.raises(UnsupportedModelError) as raised:
        lrp(composite=[(place, Gamma()), ALL])(Small(), images(), torch.zeros(3).long())
    assert words in str(raised.value)


def test_a_kind_of_layer_that_the_network_lacks_is_no_mistake() -> None:
    model, x, target = Small(), images(), torch.zeros(3).long()
    composite = [(nn.Conv3d, Gamma()), (nn.Conv1d, Gamma()), ALL]
    assert torch.equal(lrp(composite=composite)(model, x, target), lrp([ALL])(model, x, target))


# How it is written


@pytest.mark.parametrize(
    "composite",
    [
        [(nn.Conv2d, Gamma(0.5)), (nn.Linear, Epsilon(0.1)), ("f*", Flat())],
        ((OfClass(nn.Conv2d), Gamma(0.5)), ("Linear", {"epsilon": 0.1}), (Named("f*"), "flat")),
        [{"Conv2d": {"gamma": 0.5}}, {"Linear": {"epsilon": {"epsilon": 0.1}}}, {"f*": "flat"}],
        {"Conv2d": {"gamma": [0.5]}, "Linear": {"epsilon": 0.1}, "f*": {"flat": None}},
        [["Conv2d", {"gamma": 0.5}], ["Linear", {"epsilon": 0.1}], ["f*", {"flat": {}}]],
    ],
)
def test_a_composite_can_be_written_in_several_ways(composite: Any) -> None:
    expected = (
        (OfClass(nn.Conv2d), Gamma(0.5)),
        (OfClass(nn.Linear), Epsilon(0.1)),
        (Named("f*"), Flat()),
    )
    assert entries_of(composite) == expected
    assert lrp(composite=composite) == lrp(composite=expected)
    assert hash(lrp(composite=composite)) == hash(lrp(composite=expected))


def test_places_of_structure_and_ranges_are_written_as_words_and_lists() -> None:
    found = entries_of([{"first": {"zbox": {"low": [-2, -2, -1], "high": 2}}}, {"last": "wsquare"}])
    assert found == ((At.FIRST, ZBox((-2.0, -2.0, -1.0), 2.0)), (At.LAST, WSquare()))


@pytest.mark.parametrize(
    ("composite", "words"),
    [
        ([], "list of places and rules"),
        ("gamma", "list of places and rules"),
        (None, "list of places and rules"),
        ([("Conv2d",)], "(place, rule)"),
        (["Conv2d"], "(place, rule)"),
        ([("Conv2d", "gama")], "Did you mean 'gamma'"),
        ([("Conv2d", {"gamma": {"gama": 1}})], "Did you mean 'gamma'"),
        ([("Conv2d", {"gamma": [1, 2]})], "takes 1 values (gamma)"),
        ([("Conv2d", {"zbox": 1})], "needs high"),
        ([("Conv2d", {"epsilon": "1e-6"})], "finite number"),
        ([("Conv2d", Gamma)], "a rule is one like"),
        ([("Conv2d", 0.25)], "a rule is one like"),
        ([(3, Gamma())], "a place is a class of layers"),
        ([(Tensor, Gamma())], "a place is a class of layers"),
    ],
)
def test_what_is_no_composite_is_refused_in_a_sentence(composite: Any, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        lrp(composite=composite)
    assert words in str(raised.value)


def test_a_rule_of_ones_own_is_a_function_that_can_be_hashed() -> None:
    def gradient(op: Linear, relevance: Tensor) -> Tensor:
        return op.adjoint(relevance, op.weight)

    model, x = draw(nn.Sequential(nn.Flatten(), nn.Linear(12, 4))), images(3, 2)
    target, logit = best(model, x)
    found = lrp(composite=[("*", gradient)])(model, x, target)
    expected = logit[:, None] * model[1].weight[target]
    torch.testing.assert_close(found, expected.view_as(x))

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, op: Linear, relevance: Tensor) -> Tensor:
            return relevance

    with pytest.raises(ConfigError, match="must be hashable"):
        lrp(composite=[("*", Unhashable())])


def test_composites_side_by_side_have_names_that_tell_them_apart() -> None:
    ours = [(nn.Conv2d, Gamma(0.25)), (nn.Linear, Epsilon(1e-6))]
    yaml = {"lrp": {"composite": [{"Conv2d": {"gamma": 1}}, {"Linear": {"epsilon": 1e-6}}]}}
    expected = [
        "lrp(Conv2d=Gamma,Linear=Epsilon(1e-06))",
        "lrp(Conv2d=Gamma(1),Linear=Epsilon(1e-06))",
        "grad",
    ]
    assert list(Plan([lrp(composite=ours), yaml, "grad"]).methods) == expected
    assert list(Plan([lrp(composite=ours), {"lrp": {"composite": ours}}]).methods) == ["lrp"]
    model, x = Small().float(), images().float()
    maps = attribute(model, x, targets=0, methods=[lrp(composite=ours), yaml])
    assert list(maps) == expected[:2]
    assert not torch.allclose(*maps.values(), rtol=1e-2)


def test_a_composite_can_have_a_name() -> None:
    named = [{"lrp": {"composite": {"*": rule}, "name": rule}} for rule in ("gamma", "flat")]
    plan = Plan(named)
    assert plan.labels == {"lrp(name=gamma)": "LRP gamma", "lrp(name=flat)": "LRP flat"}
    assert Plan([{"lrp": {"composite": {"*": r}}} for r in ("gamma", "flat")]).labels == {
        "lrp(*=Gamma)": "LRP 1",
        "lrp(*=Flat)": "LRP 2",
    }


def test_a_long_composite_has_a_short_key_of_its_own() -> None:
    def long(last: Any) -> dict[str, Any]:
        entries = [{f"layer{i}.*": {"gamma": i / 8}} for i in range(40)]
        return {"lrp": {"composite": [*entries, {"*": last}]}}

    keys = list(Plan([long("epsilon"), long("flat"), long("epsilon")]).methods)
    assert len(set(keys)) == len(keys) == 2
    for key in keys:
        assert key.startswith("lrp(layer0.*=Gamma(0),layer1.*=Gamma(0.125),")
        assert len(key) < 150


def test_rules_that_look_alike_do_not_overwrite_each_other() -> None:
    rules = [lambda op, relevance, k=k: k * op.vjp(relevance)[0] for k in (1, 2)]
    model, x = Small().float(), images().float()
    maps = attribute(
        model,
        x,
        targets=0,
        methods=[
            lrp(composite={"*": Flat()}),
            *({"lrp": {"composite": [("*", r)]}} for r in rules),
        ],
    )
    assert list(maps) == ["lrp(*=Flat)", "lrp(*=<lambda>)", "lrp(*=<lambda>)-2"]
    assert not torch.allclose(maps["lrp(*=<lambda>)-2"], maps["lrp(*=<lambda>)"], rtol=0.1)


def test_rules_are_written_in_short() -> None:
    def own(op: Linear, relevance: Tensor) -> Tensor:
        return relevance

    rules = [ZBox([-1, -2], 3), AlphaBeta(3, 2), ZPlus("whole"), own, AlphaBeta()]
    assert written(entries_of(list(zip("abcde", rules, strict=True)))) == {
        "a": "ZBox((-1.0, -2.0),3)",
        "b": "AlphaBeta(3,2)",
        "c": "ZPlus(whole)",
        "d": "own",
        "e": "AlphaBeta",
    }


def test_a_composite_has_no_default() -> None:
    assert "lrp" in ATTRIBUTIONS
    assert "lrp" not in Plan("all").methods
    with pytest.raises(ConfigError, match=r"'lrp' needs composite. Write {lrp: {composite: ...}}"):
        ATTRIBUTIONS.build("lrp")
