import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from explaindebug.core.errors import ConfigError, UnsupportedModelError
from explaindebug.models import BVDCNN
from explaindebug.models.layers import Layer, Stage, grouped, layers, stages


class Shuffled(nn.Module):
    """Defined in another order than used; one layer never; one parameter by function."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.spare = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.norm = nn.BatchNorm1d(4)
        self.first = nn.Linear(3, 4)

    def forward(self, x):
        x = F.linear(x, self.first.weight.to(self.last.weight.dtype), self.first.bias)
        return self.last(self.norm(x) * self.scale)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward = nn.Linear(4, 4, bias=False)
        self.middle = nn.Linear(4, 4)
        self.outward = nn.Linear(4, 4, bias=False)
        self.outward.weight = self.inward.weight

    def forward(self, x):
        return self.outward(self.middle(self.inward(x)).relu())


def small_vit():
    return torchvision.models.VisionTransformer(32, 16, 2, 2, 8, 16, num_classes=3)


def names(found):
    return [layer.name for layer in found]


def test_the_papers_network_in_order():
    expected = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"]
    assert names(layers(BVDCNN(size=28, channels=1))) == expected
    assert names(layers(BVDCNN(size=28, channels=1), torch.zeros(1, 1, 28, 28))) == expected


def test_order_of_use_is_found_whatever_the_order_of_definition():
    found = layers(Shuffled(), torch.randn(2, 3))
    assert [(x.name, x.kind, x.used) for x in found] == [
        ("spare", "Linear", False),
        ("first", "Linear", True),
        ("norm", "BatchNorm1d", True),
        ("scale", "Parameter", True),
        ("last", "Linear", True),
    ]
    assert names(layers(Shuffled())) == ["scale", "last", "spare", "norm", "first"]


def test_branches_and_residual_connections():
    squeezenet = names(layers(torchvision.models.squeezenet1_1(), torch.zeros(1, 3, 64, 64)))
    assert squeezenet[:4] == [
        "features.0",
        "features.3.squeeze",
        "features.3.expand1x1",
        "features.3.expand3x3",
    ]
    assert squeezenet[-1] == "classifier.1"
    assert len(squeezenet) == 26
    resnet = names(layers(torchvision.models.resnet18(), torch.zeros(1, 3, 32, 32)))
    block = [n.removeprefix("layer2.0.") for n in resnet if n.startswith("layer2.0")]
    assert block == ["conv1", "bn1", "conv2", "bn2", "downsample.0", "downsample.1"]
    assert (resnet[0], resnet[-1], len(resnet)) == ("conv1", "fc", 41)


def test_transformers_list_tokens_embeddings_and_attention():
    found = layers(small_vit(), torch.zeros(1, 3, 32, 32))
    block = "encoder.layers.encoder_layer_0"
    assert names(found)[:8] == [
        "conv_proj",
        "class_token",
        "encoder.pos_embedding",
        f"{block}.ln_1",
        f"{block}.self_attention",
        f"{block}.ln_2",
        f"{block}.mlp.0",
        f"{block}.mlp.3",
    ]
    kinds = {x.name: x.kind for x in found}
    assert kinds["class_token"] == kinds["encoder.pos_embedding"] == "Parameter"
    attention = next(x for x in found if x.kind == "MultiheadAttention")
    assert f"{block}.self_attention.out_proj.weight" in attention.tensors


@pytest.mark.parametrize("example", [None, torch.zeros(1, 3, 32, 32)], ids=["defined", "used"])
@pytest.mark.parametrize(
    "build", [small_vit, torchvision.models.resnet18, torchvision.models.shufflenet_v2_x0_5]
)
def test_every_parameter_and_statistic_is_in_exactly_one_layer(build, example):
    model = build()
    listed = [t for layer in layers(model, example) for t in layer.tensors]
    assert sorted(listed) == sorted(model.state_dict())


def test_a_layer_that_shares_its_weights_keeps_its_place():
    found = layers(Tied(), torch.randn(2, 4))
    assert names(found) == ["inward", "middle", "outward"]
    assert found[2].tensors == ("outward.weight",)


def test_blocks_gather_children_below_wrappers():
    model = torchvision.models.resnet18()
    x = torch.zeros(1, 3, 32, 32)
    expected = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert names(layers(model, x, depth=1)) == expected
    wrapped = nn.Sequential(nn.Sequential(model))
    assert names(layers(wrapped, x, depth=1)) == [f"0.0.{name}" for name in expected]
    assert names(layers(model, x, depth=2))[2:4] == ["layer1.0", "layer1.1"]
    stem = layers(model, x, depth=1)[2]
    assert stem.kind == "Sequential"
    assert len(stem.tensors) == 4 * 1 + 4 * 5
    assert names(layers(small_vit(), depth=1)) == ["class_token", "conv_proj", "encoder", "heads"]


def test_norm_layers_with_activations_inside_are_layers():
    class Normalised(nn.BatchNorm2d):  # as timm writes them
        def __init__(self, n):
            super().__init__(n)
            self.act = nn.ReLU()

    assert layers(Normalised(3))[0].kind == "Normalised"


def test_looking_leaves_the_model_and_the_random_state_alone():
    model = torchvision.models.resnet18().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    with torch.inference_mode():
        layers(model, torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(m.training for m in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_compiled_models_are_looked_through():
    model = BVDCNN(size=28, channels=1)
    assert layers(torch.compile(model), torch.zeros(1, 1, 28, 28)) == layers(model)


def test_stages_of_each_order():
    found = [Layer(n, "Linear", (f"{n}.weight",)) for n in "abc"]
    found.insert(0, Layer("spare", "Linear", ("spare.weight",), used=False))
    assert stages(found) == [
        Stage("c", ("c",)),
        Stage("b", ("c", "b")),
        Stage("a", ("c", "b", "a")),
    ]
    assert stages(found, "bottom_up") == [
        Stage("a", ("a",)),
        Stage("b", ("a", "b")),
        Stage("c", ("a", "b", "c")),
    ]
    assert stages(found, "independent") == [Stage(n, (n,)) for n in "cba"]


def test_groups_of_ones_own_are_stages_of_all_their_layers():
    model = torchvision.models.resnet18()
    found = grouped(
        layers(model, torch.zeros(1, 3, 32, 32), depth=1),
        {"stem": ["conv1", "bn1"], "middle": ["layer3", "layer2"]},
    )
    assert names(found) == ["stem", "layer1", "middle", "layer4", "fc"]
    assert found[2].members == ("layer2", "layer3")
    assert stages(found)[2] == Stage("middle", ("fc", "layer4", "layer2", "layer3"))
    assert stages(found, "independent")[-1] == Stage("stem", ("conv1", "bn1"))
    single = grouped(
        layers(model), {"all": ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]}
    )
    assert names(single) == ["all", "fc"]
    assert len(single[0].members) == 40


def test_misuse_is_a_sentence():
    with pytest.raises(ConfigError, match=r"no layer 'frist'.*'first'"):
        grouped(layers(Shuffled()), {"a": ["frist"]})
    with pytest.raises(ConfigError, match="'last' is in two groups, 'a' and 'b'"):
        grouped(layers(Shuffled()), {"a": ["last"], "b": ["first", "last"]})
    with pytest.raises(ConfigError, match=r"'topdown'.*'top_down'"):
        stages([], "topdown")
    with pytest.raises(UnsupportedModelError, match="Flatten has no parameters"):
        layers(nn.Flatten())
    with pytest.raises(ConfigError, match="depth=0"):
        layers(Shuffled(), depth=0)
    with pytest.raises(ConfigError, match=r"Shuffled can't take an example of shape \(1, 7\)"):
        layers(Shuffled(), torch.zeros(1, 7))
