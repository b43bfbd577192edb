"""Layers whose weights are computed from other tensors lose what they compute with."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from explaindebug.bugs.initialisers import INITIALISERS
from explaindebug.bugs.reinitialisation import exchanged, fresh, reinitialise
from explaindebug.cascade import Cascade, cascade
from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.comparison import Comparison
from explaindebug.models.layers import layers

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
X = torch.randn(5, 8, generator=torch.Generator().manual_seed(3))


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT


class Masked(nn.Module):
    """Without an inverse, and with a buffer that belongs to the architecture."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", (torch.arange(64) % 2).reshape(8, 8).float())

    def forward(self, x):
        return x * self.mask


class Scaled(nn.Module):
    """With a parameter of its own that nothing initialises."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        return x * self.scale


def by(kind):
    def parametrised(layer):
        parametrize.register_parametrization(layer, "weight", kind())
        return layer

    return parametrised


def orthogonal(kind, trivial):
    options = {"orthogonal_map": kind, "use_trivialization": trivial}
    return lambda layer: parametrizations.orthogonal(layer, **options)


KINDS = {
    "weight norm": parametrizations.weight_norm,
    "weight norm, other axis": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "weight norm, hook": nn.utils.weight_norm,
    "weight norm, hook, whole": lambda layer: nn.utils.weight_norm(layer, dim=None),
    "spectral norm": parametrizations.spectral_norm,
    "spectral norm, hook": nn.utils.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "orthogonal, householder": orthogonal("householder", False),
    "orthogonal, cayley": orthogonal("cayley", False),
    "symmetric": by(Symmetric),
    "masked": by(Masked),
    "scaled": by(Scaled),
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
}
SPECTRAL = [name for name in KINDS if name.startswith("spectral")]
NORMED = [name for name in KINDS if name.startswith("weight")]


def network(kind):
    """Two dense layers of a kind, trained for a while."""
    torch.manual_seed(0)
    model = nn.Sequential(
        KINDS[kind](nn.Linear(8, 8)), nn.ReLU(), KINDS[kind](nn.Linear(8, 8)), nn.Linear(8, 3)
    )
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(X), torch.arange(5) % 3).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        model(X)
    return model


def weight(model):
    with torch.no_grad():
        model(X)  # hooks compute it then
        return model[0].weight.detach().clone()


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_with_other_weights_and_the_model_stays(kind, init):
    model = network(kind)
    before, outputs = weight(model), model(X)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    new = fresh(model, ["0"], seed=0, init=init)
    assert torch.equal(weight(model), before)
    assert all(torch.equal(t, tensors[name]) for name, t in model.state_dict().items())
    with exchanged(model, new.tensors):
        assert (weight(model) - before).abs().max() > 0.1
        assert (model(X) - outputs).abs().max() > 0.1
    assert torch.equal(model(X), outputs)
    assert new.lost == {"0"}
    own = "0.parametrizations.weight.0.scale"
    assert new.report.left == ((own,) if kind == "scaled" else ())


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_one_layer_under_its_own_name(kind):
    found = layers(network(kind), X[:1])
    assert [(layer.name, layer.kind) for layer in found] == [(n, "Linear") for n in "023"]
    assert all(layer.used and not layer.unread for layer in found)


@pytest.mark.parametrize("init", ["layer_default", "glorot", "torchvision"])
@pytest.mark.parametrize("kind", NORMED)
def test_a_normed_layer_gets_the_weights_that_the_plain_layer_gets(kind, init):
    model, plain = network(kind), nn.Sequential(nn.Linear(8, 8))
    reinitialise(model, ["0"], seed=5, init=init)
    reinitialise(plain, ["0"], seed=5, init=init)
    torch.testing.assert_close(weight(model), plain[0].weight.detach())
    assert torch.equal(model[0].bias, plain[0].bias)


@pytest.mark.parametrize("kind", NORMED)
def test_permuting_a_normed_layer_keeps_the_histogram_of_its_weights(kind):
    model = network(kind)
    before = weight(model)
    reinitialise(model, ["0"], seed=0, init="permute_weights")
    torch.testing.assert_close(weight(model).flatten().sort()[0], before.flatten().sort()[0])


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("kind", SPECTRAL)
def test_the_largest_singular_value_stays_one(kind, init):
    model = network(kind)
    reinitialise(model, ["0"], seed=0, init=init)
    assert torch.linalg.matrix_norm(weight(model), 2).item() == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("orthogonal")])
def test_what_is_orthogonal_stays_so(kind, init):
    model = network(kind)
    reinitialise(model, ["0"], seed=0, init=init)
    torch.testing.assert_close(weight(model) @ weight(model).T, torch.eye(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("init", INITIALISERS)
@pytest.mark.parametrize("kind", ["masked", "pruned"])
def test_what_is_switched_off_stays_off(kind, init):
    model = network(kind)
    before = weight(model)
    reinitialise(model, ["0"], seed=0, init=init)
    assert torch.equal(weight(model) == 0, before == 0)


@pytest.mark.parametrize("kind", ["weight norm", "spectral norm, hook"])
def test_a_parametrised_projection_inside_attention(kind):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2)
    KINDS[kind](attention.out_proj)
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    new = fresh(nn.Sequential(attention), ["0"], seed=0)
    assert not new.report.left
    assert any("out_proj" in name and "weight" in name for name in new.tensors)


def test_a_parametrised_parameter_of_a_container():
    class Container(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.inner = nn.Parameter(torch.rand(8, 8)), nn.Linear(8, 8)

    model = Container()
    parametrize.register_parametrization(model, "scale", Symmetric())
    assert [layer.name for layer in layers(model)] == ["scale", "inner"]
    before = model.scale.detach().clone()
    assert fresh(model, ["scale"], seed=0).lost == frozenset()
    report = reinitialise(model, ["scale"], seed=0, init="permute_weights")
    assert report.changed == ("parametrizations.scale.original",)
    assert not torch.equal(model.scale, before)


def test_a_shared_original_is_drawn_once():
    model = network("weight norm")
    twin = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    twin.parametrizations.weight.original1 = model[0].parametrizations.weight.original1
    model.append(twin)
    new = fresh(model, ["0", "4"], seed=0)
    assert new.lost == {"0", "4"}
    assert "4.parametrizations.weight.original1" not in new.tensors


def pictures(n=3):
    return torch.randn(n, 1, 8, 1, generator=torch.Generator().manual_seed(4))


class Whole(nn.Module):
    """Images (n, 1, 8, 1) through dense layers."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x.flatten(1))


QUICK = {"pictures": 0, "workers": 1, "comparison": Comparison(["spearman"], nulls=[])}


@pytest.mark.parametrize("kind", ["weight norm", "weight norm, hook", "spectral norm"])
def test_a_cascade_of_parametrised_layers_loses_something_at_each_stage(kind):
    found = cascade(Whole(network(kind)), pictures(), methods=["grad"], **QUICK)
    assert found.stages == ("body.3", "body.2", "body.0")
    for stage in found.stages:
        assert found.mean_drift("l2", stage) > 0.01


class Kernel(nn.Module):
    """A layer without an initialiser."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 8))

    def forward(self, x):
        return x @ self.kernel


@pytest.mark.parametrize("order", ["top_down", "independent"])
def test_a_stage_that_can_lose_nothing_is_an_error(order):
    model = Whole(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), Kernel()))
    how = Cascade(order)
    with pytest.raises(ConfigError, match=r"body\.2 would lose nothing.*body\.2\.kernel.*permute"):
        cascade(model, pictures(), methods=["grad"], how=how, **QUICK)
    joined = Cascade(order, groups={"all": ["body"]})
    assert cascade(model, pictures(), methods=["grad"], how=joined, **QUICK).stages == ("all",)
    permuted = Cascade(order, init="permute_weights")
    found = cascade(model, pictures(), methods=["grad"], how=permuted, **QUICK)
    assert found.mean_drift("l2", "body.2") > 0.01


def test_a_layer_that_is_as_new_is_no_stage_and_that_is_said():
    body = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    model = Whole(body.eval())
    found = cascade(model, pictures(), methods=["grad"], how=Cascade("independent"), **QUICK)
    assert found.stages == ("body.3", "body.0")
    assert any("body.1: no stage" in sentence for sentence in found.warnings)
    nested = cascade(
        model, pictures(), methods=["grad"], **QUICK
    )  # there other layers are lost, too
    assert nested.stages == ("body.3", "body.1", "body.0")
    body[1].running_mean += 0.1
    found = cascade(model, pictures(), methods=["grad"], how=Cascade("independent"), **QUICK)
    assert found.stages == ("body.3", "body.1", "body.0")


def test_a_network_that_is_as_new_has_nothing_to_lose():
    model = Whole(nn.Sequential(nn.BatchNorm1d(8), nn.Flatten()).eval())
    with pytest.raises(ConfigError, match="no stage would lose anything"):
        cascade(model, pictures(), methods=["grad"], **QUICK)


def test_weights_without_effect_are_lost_all_the_same():
    model = Whole(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)))
    nn.init.zeros_(model.body[2].weight)
    found = cascade(model, pictures(), methods=["grad"], how=Cascade("independent"), **QUICK)
    assert found.stages == ("body.2", "body.0")
    assert found.mean_drift("l2", "body.0") == 0  # as it is


class Caching(nn.Linear):
    """Computes with a copy of its weights that it made the first time."""

    kept = None

    def forward(self, x):
        if self.kept is None:
            self.kept = self.weight / self.weight.norm()
        return nn.functional.linear(x, self.kept.detach(), self.bias)


def test_weights_that_are_read_only_once_are_named(sentence):
    model = Whole(nn.Sequential(Caching(8, 8), nn.ReLU(), nn.Linear(8, 3)))
    found = cascade(model, pictures(), methods=["grad"], **QUICK)
    (said,) = (warning for warning in found.warnings if "body.0.weight" in warning)
    assert "body.0.bias" not in said
    sentence("unread", said)
