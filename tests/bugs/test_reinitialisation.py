import math
import warnings

import pytest
import torch
import torchvision
from torch import nn

from explaindebug.bugs.initialisers import INITIALISERS
from explaindebug.bugs.reinitialisation import Report, exchanged, fresh, reinitialise, reinitialised
from explaindebug.core.errors import ConfigError, UnsupportedModelError
from explaindebug.models.layers import layers, stages

INITS = list(INITIALISERS)


def plain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(32, 4)
    )


def normed():
    """A branching network whose norm layers have seen data."""
    torch.manual_seed(0)
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=5)
    model(torch.randn(4, 3, 32, 32) * 3 + 1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return model.eval()


def small_vit():
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=3)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward = nn.Linear(4, 4)
        self.outward = nn.Linear(4, 4)
        self.outward.weight = self.inward.weight


class Own(nn.Module):
    """A layer of one's own without `reset_parameters`."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.arange(6.0).reshape(2, 3))


def values(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def changed(model, before):
    return {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def after(model, names, **how):
    with reinitialised(model, names, **({"seed": 0} | how)):
        return values(model)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("build", [plain, normed, small_vit])
def test_the_named_layer_changes_and_no_other(build, init):
    model = build()
    before = values(model)
    for layer in layers(model)[1::5]:
        now = after(model, [layer.name], init=init)
        assert {k for k in now if not torch.equal(now[k], before[k])} <= set(layer.tensors)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("build", [plain, normed])
def test_everything_changes_finite_and_the_report_says_so(build, init):
    model = build()
    before = values(model)
    report = reinitialise(model, [x.name for x in layers(model)], seed=0, init=init)
    assert changed(model, before) <= set(report.changed)
    assert {*report.changed, *report.left} == set(before)
    assert all(v.isfinite().all() for v in model.state_dict().values())
    weights = {k for k, p in model.named_parameters() if p.ndim > 1}
    assert weights <= changed(model, before)


@pytest.mark.parametrize("init", INITS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_or_draw_others(init):
    model = plain()
    everything = ["0", "1", "2", "4"]
    first = after(model, everything, init=init)
    assert equal(first, after(model, everything, init=init))
    for other in ({"seed": 1}, {"draw": 1}):
        second = after(model, everything, init=init, **other)
        assert not any(torch.equal(first[f"{n}.weight"], second[f"{n}.weight"]) for n in everything)


def test_layers_of_one_shape_get_different_weights():
    model = plain()
    reinitialise(model, ["1", "2"], seed=0)
    assert not torch.equal(model[1].weight, model[2].weight)


@pytest.mark.parametrize("init", INITS)
def test_a_layer_gets_the_same_weights_whichever_others_go_with_it(init):
    model = normed()
    found = layers(model, torch.zeros(1, 3, 32, 32))
    steps = stages(found)
    whole = after(model, steps[-1].layers, init=init)
    tensors = {x.name: x.tensors for x in found}
    before = values(model)
    for stage in steps[::7]:
        now = after(model, stage.layers, init=init)
        fresh = {t for name in stage.layers for t in tensors[name]}
        assert all(torch.equal(now[k], (whole if k in fresh else before)[k]) for k in now)


@pytest.mark.parametrize("init", INITS)
def test_the_global_random_state_is_neither_read_nor_changed(init):
    model = plain()
    torch.manual_seed(1)
    rng = torch.get_rng_state()
    first = after(model, ["0", "4"], init=init)
    assert torch.equal(torch.get_rng_state(), rng)
    torch.manual_seed(2)
    assert equal(first, after(model, ["0", "4"], init=init))


def test_the_layers_own_initialisation_is_that_of_building_it():
    model = nn.Sequential(nn.Linear(200, 300))
    nn.init.constant_(model[0].weight, 7.0)
    reinitialise(model, ["0"], seed=0)
    bound = 1 / math.sqrt(200)
    assert model[0].weight.abs().max() <= bound
    assert model[0].weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_glorot_has_its_bound_and_zero_biases():
    model = nn.Sequential(nn.Conv2d(8, 16, 5), nn.Linear(100, 50))
    reinitialise(model, ["0", "1"], seed=0, init="glorot")
    for layer, fans in ((model[0], 25 * (8 + 16)), (model[1], 150)):
        bound = math.sqrt(6 / fans)
        assert 0.95 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert not layer.bias.any()


def test_torchvisions_start():
    model = nn.Sequential(nn.Conv2d(8, 64, 3), nn.Linear(100, 100), nn.PReLU())
    reinitialise(model, ["0", "1", "2"], seed=0, init="torchvision")
    assert model[0].weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.05)
    assert model[1].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not model[0].bias.any()
    assert not model[1].bias.any()
    assert model[2].weight.item() == 0.25


@pytest.mark.parametrize("build", [normed, small_vit])
def test_permuting_keeps_each_tensors_histogram(build):
    model = build()
    before = values(model)
    report = reinitialise(model, [x.name for x in layers(model)], seed=0, init="permute_weights")
    for name, now in model.state_dict().items():
        assert torch.equal(now.flatten().sort().values, before[name].flatten().sort().values)
    constant = {k for k, v in before.items() if (v == v.flatten()[0]).all()}
    constant -= {k for k in before if k.endswith("num_batches_tracked")}
    assert set(report.left) == constant
    assert all(name in str(report) for name in constant)


@pytest.mark.parametrize("init", ["layer_default", "glorot", "torchvision"])
def test_batchnorm_forgets_its_weights_and_its_statistics(init):
    model = normed()
    report = reinitialise(model, ["conv1.1"], seed=0, init=init)
    fresh = nn.BatchNorm2d(24).state_dict()
    assert equal(model.conv1[1].state_dict(), fresh)
    assert set(report.changed) == {f"conv1.1.{k}" for k in fresh}


@pytest.mark.parametrize("init", ["layer_default", "glorot", "torchvision"])
def test_what_no_initialiser_stands_for_is_left_and_reported(init, sentence):
    model = small_vit()
    report = reinitialise(model, [x.name for x in layers(model)], seed=0, init=init)
    assert report.left == ("class_token", "encoder.pos_embedding")
    assert all(name in str(report) for name in report.left)
    sentence(init, str(report))
    assert "encoder.layers.encoder_layer_0.self_attention.in_proj_weight" in report.changed
    model = nn.Sequential(Own(), nn.Linear(2, 2))
    assert reinitialise(model, ["0", "1"], seed=0, init=init).left == ("0.kernel",)
    assert torch.equal(model[0].kernel, torch.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.MultiheadAttention(8, 2),
        lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=4, add_bias_kv=True),
        lambda: nn.LSTM(3, 4, 2),
        lambda: nn.Embedding(5, 3),
        lambda: nn.Bilinear(2, 3, 8),
        lambda: nn.ConvTranspose2d(2, 9, 2),
        lambda: nn.GroupNorm(2, 8),
        lambda: nn.LayerNorm(8, elementwise_affine=True, bias=False),
        lambda: nn.BatchNorm2d(8, affine=False),
        lambda: nn.Linear(9, 9).double(),
        lambda: nn.Linear(9, 9).bfloat16(),
    ],
)
@pytest.mark.parametrize("init", INITS)
def test_kinds_of_layers(build, init):
    layer = build()
    for tensor in layer.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(1, 2)
    model = nn.Sequential(layer)
    before = values(model)
    report = reinitialise(model, ["0"], seed=0, init=init)
    floats = {k for k, v in before.items() if v.is_floating_point()}
    assert floats <= changed(model, before)
    assert not report.left


def test_attentions_own_start_covers_its_projection():
    model = nn.Sequential(nn.MultiheadAttention(8, 2))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 9.0)
    reinitialise(model, ["0"], seed=0)
    assert model[0].in_proj_weight.abs().max() <= math.sqrt(6 / 32)
    assert not model[0].in_proj_bias.any()
    assert model[0].out_proj.weight.abs().max() <= 1 / math.sqrt(8)
    assert not model[0].out_proj.bias.any()


def test_a_shared_tensor_is_drawn_once_by_its_first_owner():
    model = Tied()
    inward, both, outward = (
        after(model, names) for names in (["inward"], ["inward", "outward"], ["outward"])
    )
    key = "inward.weight"
    assert torch.equal(inward[key], both[key])
    assert torch.equal(inward[key], outward[key])
    assert model.outward.weight is model.inward.weight
    assert reinitialise(model, ["outward"], seed=0).changed == ("outward.weight", "outward.bias")


def test_a_module_name_means_all_layers_below_it():
    model = normed()
    before = values(model)
    reinitialise(model, ["stage4"], seed=0)
    assert changed(model, before)
    assert all(k.startswith("stage4.") for k in changed(model, before))
    blocks = layers(model, depth=1)
    assert set(reinitialise(model, [blocks[-2].name], seed=0).changed) == set(blocks[-2].tensors)


def test_a_function_of_ones_own():
    def narrow(layer, generator):
        layer.weight.normal_(0, 1e-3, generator=generator)
        return ["bias"]

    model = plain()
    before = values(model)
    report = reinitialise(model, ["4"], seed=0, init=narrow)
    assert model[4].weight.std() < 2e-3
    assert report == Report(("4.weight",), ("4.bias",), seed=0, draw=0, init="narrow")
    assert changed(model, before) == {"4.weight"}


@pytest.mark.parametrize("build", [plain, normed, small_vit])
def test_everything_is_back_afterwards(build):
    model = build()
    before = values(model)
    identities = [id(p) for p in model.parameters()]
    with reinitialised(model, [x.name for x in layers(model)], seed=0):
        assert changed(model, before)
    assert equal(values(model), before)
    assert [id(p) for p in model.parameters()] == identities


def test_everything_is_back_after_an_exception():
    model = plain()
    before = values(model)

    def work():
        with reinitialised(model, ["0", "4"], seed=0):
            assert changed(model, before)
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        work()
    assert equal(values(model), before)


@pytest.mark.parametrize("use", [reinitialise, lambda *a, **k: reinitialised(*a, **k).__enter__()])
def test_nothing_changes_when_an_initialiser_fails_half_way(use):
    model = plain()
    before = values(model)
    drawn = []

    def fails(layer, generator):
        drawn.append(layer)
        assert len(drawn) < 3, "third layer"
        layer.weight.fill_(3)

    with pytest.raises(AssertionError, match="third layer"):
        use(model, ["0", "1", "2"], seed=0, init=fails)
    assert equal(values(model), before)


@pytest.mark.parametrize("build", [plain, normed, small_vit])
def test_fresh_values_are_those_that_reinitialise_writes_and_the_model_stays(build):
    model = build()
    before = values(model)
    names = [x.name for x in layers(model)][::2]
    new = fresh(model, names, seed=3, draw=1)
    assert equal(values(model), before)
    for chosen in (names, names[1::2]):
        assert equal(new.of(chosen), fresh(model, chosen, seed=3, draw=1).tensors)
    assert reinitialise(model, names, seed=3, draw=1) == new.report
    assert all(torch.equal(model.state_dict()[k], v) for k, v in new.tensors.items())


def test_fresh_values_of_a_shared_tensor_whichever_layer_asks():
    model = Tied()
    new = fresh(model, ["inward", "outward"], seed=0)
    assert new.of(["outward"]).keys() == {"inward.weight", "outward.bias"}


def test_fresh_values_have_the_models_dtype_and_layout():
    model = nn.Sequential(nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last).bfloat16())
    for name, tensor in fresh(model, ["0"], seed=0).tensors.items():
        own = dict(model.named_parameters())[name]
        assert (tensor.dtype, tensor.stride()) == (own.dtype, own.stride())


def test_exchanged_tensors_stay_the_same_objects_and_are_seen_by_whoever_holds_them():
    model = nn.Sequential(nn.LSTM(3, 4))  # it keeps its weights in a list of its own
    x = torch.randn(2, 1, 3)
    held, plain_output = dict(model.named_parameters()), model(x)[0]
    new = fresh(model, ["0"], seed=0).tensors
    with exchanged(model, new):
        assert all(p is held[name] for name, p in model.named_parameters())
        assert all(p.data_ptr() == new[name].data_ptr() for name, p in model.named_parameters())
        assert not torch.equal(model(x)[0], plain_output)
    assert torch.equal(model(x)[0], plain_output)


def test_modes_hooks_and_gradients_stay_as_they_are():
    model = normed().train()
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    model.fc.weight.requires_grad_(False)
    handle = model.fc.register_forward_hook(lambda m, x, y: y)
    reinitialise(model, ["fc", "conv1"], seed=0)
    assert model.training
    assert model.fc.training
    assert torch.equal(model.fc.weight.grad, torch.ones_like(model.fc.weight))
    assert not model.fc.weight.requires_grad
    assert model.fc.bias.requires_grad
    assert list(model.fc._forward_hooks) == [handle.id]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("init", INITS)
def test_another_device_gets_the_same_weights_and_keeps_its_random_state(init):
    model = normed()
    expected = after(model, [x.name for x in layers(model)], init=init)
    rng = torch.cuda.get_rng_state()
    model.cuda()
    now = after(model, [x.name for x in layers(model)], init=init)
    assert all(torch.equal(now[k].cpu(), expected[k]) for k in expected)
    assert torch.equal(torch.cuda.get_rng_state(), rng)


def test_misuse_is_a_sentence():
    with pytest.raises(ConfigError, match=r"no layer 'stage5'.*'stage"):
        reinitialise(normed(), ["stage5"], seed=0)
    with pytest.raises(ConfigError, match=r"'glorott'.*'glorot'"):
        reinitialise(plain(), ["0"], seed=0, init="glorott")
    with pytest.raises(UnsupportedModelError, match="Flatten has no parameters"):
        reinitialise(nn.Flatten(), [], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but still met
        scripted = torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))
    with pytest.raises(UnsupportedModelError, match="TorchScript"):
        reinitialise(nn.Sequential(scripted), ["0"], seed=0)
