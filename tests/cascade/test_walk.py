"""Maps of all states at once are those that each state gives by itself."""

from typing import Any

import pytest
import torch
from cascade_networks import NETWORKS, images, network
from torch import Tensor, nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.reinitialisation import reinitialise
from explaindebug.cascade import Cascade, Smoothing
from explaindebug.cascade.states import TRAINED
from explaindebug.core.errors import ConfigError
from explaindebug.core.isolation import private_copy
from explaindebug.models.layers import layers

X = images(5)
TARGETS = torch.tensor([0, 1, 2, 0, 1])
METHODS = ["grad", {"sgrad": {"samples": 3}}, {"intgrad": {"steps": 4}}]


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def walked(model: nn.Module, methods: Any = METHODS, how: Cascade | None = None, **options: Any):
    prepared = (how or Cascade())(private_copy(model), Plan(methods), X[:1], **options)
    return prepared, prepared.walk(X, TARGETS)


def lost(model: nn.Module, names: list[str], **how: Any) -> nn.Module:
    """A copy that has lost some layers, by itself."""
    twin = private_copy(model)
    reinitialise(twin, names, **({"seed": 0} | how))
    return twin


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_stage_is_a_network_that_lost_exactly_its_layers(name, order):
    model = network(name)
    methods = ["grad"] if name == "resnet" else METHODS
    # alone, a class token or a scale loses nothing by any other initialisation
    init = "permute_weights" if order == "independent" else "layer_default"
    how = Cascade(order, depth=1 if name == "resnet" else None, init=init)
    prepared, steps = walked(model, methods, how)
    found = layers(model, X[:1], depth=1 if name == "resnet" else None)
    names = [layer.name for layer in found]
    names = names if order == "bottom_up" else names[::-1]
    assert prepared.stages == tuple(names)
    assert [step.state.stage for step in steps] == ["trained", *names]
    plan = Plan(methods)
    for k, step in enumerate(steps):
        chosen = names[:k] if order != "independent" else names[max(0, k - 1) : k]
        alone = lost(model, chosen, init=init) if chosen else private_copy(model)
        close(step.logits, alone(X.clone()))
        for method, expected in plan(alone, X, TARGETS).items():
            close(step.maps[method], expected)


@pytest.mark.parametrize("init", ["glorot", "torchvision", "permute_weights"])
def test_initialisations(init):
    model = network("plain")
    prepared, steps = walked(model, ["grad"], Cascade(init=init, seed=4, most=2))
    alone = lost(model, ["fc3", "fc2"], seed=4, init=init)
    close(steps[2].maps["grad"], Plan(["grad"])(alone, X, TARGETS)["grad"])
    assert prepared.report.init == init


def test_every_draw_is_another_network_and_the_first_one_is_the_same():
    model = network("plain")
    _, one = walked(model, ["grad"], Cascade(most=2))
    _, three = walked(model, ["grad"], Cascade(most=2, draws=3))
    assert [(s.state.stage, s.state.draw) for s in three] == [
        ("trained", 0),
        *(("fc3", 0), ("fc2", 0), ("fc3", 1), ("fc2", 1), ("fc3", 2), ("fc2", 2)),
    ]
    assert all(
        torch.equal(a.maps["grad"], b.maps["grad"]) for a, b in zip(one, three, strict=False)
    )
    assert not torch.equal(three[1].maps["grad"], three[3].maps["grad"])
    alone = lost(model, ["fc3", "fc2"], draw=2)
    close(three[6].maps["grad"], Plan(["grad"])(alone, X, TARGETS)["grad"])


def test_a_layer_is_drawn_once_for_all_stages():
    drawn = []

    def own(layer: nn.Module, generator: torch.Generator) -> None:
        drawn.append(type(layer).__name__)
        for parameter in layer.parameters():
            parameter.normal_(0, 0.1, generator=generator)

    walked(network("plain"), ["grad"], Cascade(init=own, draws=2))
    assert len(drawn) == 2 * 8


def test_groups_are_one_stage():
    model = network("plain")
    groups = {"head": ["fc1", "fc2", "fc3"], "body": ["conv2", "conv3", "conv4", "conv5"]}
    prepared, steps = walked(model, ["grad"], Cascade(groups=groups))
    assert prepared.stages == ("head", "body", "conv1")
    alone = lost(model, ["fc1", "fc2", "fc3"])
    close(steps[1].maps["grad"], Plan(["grad"])(alone, X, TARGETS)["grad"])


@pytest.mark.parametrize("methods", [["grad"], [{"sgrad": {"samples": 3}}]])
def test_the_class_is_fixed_or_taken_again(methods):
    model = network("plain")
    plan, own = Plan(methods), Cascade(most=4, seed=3)
    for retake in (False, True):
        how = Cascade(most=4, seed=3, retake=retake)
        steps = how(private_copy(model), plan, X[:1]).walk(X)
        first = steps[0].logits.argmax(1)
        changed = False
        for k, step in enumerate(steps):
            twin = lost(model, ["fc3", "fc2", "fc1", "conv5"][:k], seed=own.seed) if k else model
            targets = twin(X).argmax(1) if retake else first
            changed |= bool((targets != first).any())
            for method, expected in plan(private_copy(twin), X, targets).items():
                close(step.maps[method], expected)
        assert changed == retake


def test_smoothing_is_the_mean_over_noisy_inputs_at_every_stage():
    model, n = network("residual"), 6
    _, smooth = walked(model, ["grad"], Cascade(smoothing=Smoothing(n, 0.2)))
    _, plain = walked(
        model, [{"sgrad": {"samples": n, "noise": 0.2}}]
    )  # SmoothGrad is that of Grad
    for a, b in zip(smooth, plain, strict=True):
        close(a.maps["grad"], b.maps["sgrad"])
        close(a.logits, b.logits)


def test_smoothing_by_one_copy_without_noise_changes_nothing():
    model = network("branching")
    _, plain = walked(model)
    for noise, within in ((0.0, 1e-6), (1e-6, 1e-3)):
        _, smooth = walked(model, how=Cascade(smoothing=Smoothing(1, noise)))
        for a, b in zip(smooth, plain, strict=True):
            gap = (a.maps["grad"] - b.maps["grad"]).norm() / b.maps["grad"].norm()
            assert float(gap) < within


@pytest.mark.parametrize("patterns", ["frozen", "refit"])
def test_patterns_stay_or_are_fitted_again(patterns):
    model, references = network("plain"), images(24)
    method = {"pattribution": {"patterns": patterns}}
    _, steps = walked(model, [method], Cascade(most=2), references=references)
    trained = Plan([method]).prepare(private_copy(model), references)
    for k, step in enumerate(steps):
        twin = lost(model, ["fc3", "fc2"][:k]) if k else private_copy(model)
        plan = trained.prepare(twin, references)
        close(step.maps["pattribution"], plan(twin, X, TARGETS)["pattribution"])
    fitted = Plan([method]).prepare(lost(model, ["fc3", "fc2"]), references)
    anew = fitted(lost(model, ["fc3", "fc2"]), X, TARGETS)["pattribution"]
    gap = (steps[2].maps["pattribution"] - anew).norm() / anew.norm()
    assert (float(gap) < 1e-4) == (patterns == "refit")


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 3, "chunk": 1}, {"chunk": 2}])
def test_chunks_and_workers_change_nothing(options):
    model = network("residual")
    _, expected = walked(model, workers=1)
    _, steps = walked(model, **options)
    for a, b in zip(steps, expected, strict=True):
        close(a.logits, b.logits)
        for method in a.maps:
            close(a.maps[method], b.maps[method])


def test_workers_are_the_same_to_the_last_bit():
    model = network("plain")
    runs = [walked(model, ["grad"], workers=workers, chunk=2)[1] for workers in (1, 2)]
    for a, b in zip(*runs, strict=True):
        assert all(torch.equal(a.maps[m], b.maps[m]) for m in a.maps)


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
def test_states_are_divided_among_workers_where_images_are_few(order):
    model = network("residual")
    runs = [
        walked(model, METHODS, Cascade(order, draws=2), workers=workers)[1] for workers in (1, 4)
    ]
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a.logits, b.logits)
        assert all(torch.equal(a.maps[m], b.maps[m]) for m in a.maps)


@pytest.mark.parametrize("chunk", [1, 5, 10, 32])  # copies that are passed at once: 1, 1, 2, all
def test_smooth_maps_do_not_depend_on_how_many_copies_go_together(chunk):
    model, how = network("plain"), Cascade(smoothing=Smoothing(3))
    for a, b in zip(walked(model, how=how, chunk=chunk)[1], walked(model, how=how)[1], strict=True):
        for method in a.maps:
            close(a.maps[method], b.maps[method])


def test_an_inputs_maps_depend_on_it_alone():
    model = network("plain")
    prepared, steps = walked(model, how=Cascade(smoothing=Smoothing(2)))
    for a, b in zip(prepared.walk(X[3:4], TARGETS[3:4]), steps, strict=True):
        close(a.maps["grad"][0], b.maps["grad"][3])


def test_the_model_is_as_before_and_no_generator_was_moved():
    model = private_copy(network("plain"))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    prepared = Cascade()(model, Plan(METHODS), X[:1])
    prepared.walk(X)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_what_stays_as_trained_is_said(sentence):
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(3, 3))
            self.spare = nn.Linear(4, 4)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(x.mean((2, 3)) @ self.kernel)

    prepared = Cascade()(private_copy(Spare()), Plan(["grad"]), X[:1])
    assert prepared.stages == ("head", "kernel")
    assert prepared.report.left == ("kernel",)
    assert prepared.unused == ("spare",)
    for name, note in zip(("left", "unused"), prepared.notes, strict=True):
        sentence(name, note)
    assert Cascade()(network("plain"), Plan(["grad"]), X[:1]).notes == []


def test_progress_goes_from_nothing_to_all():
    told: list[float] = []
    prepared = Cascade()(network("plain"), Plan(METHODS), X[:1], chunk=2)
    prepared.walk(X, TARGETS, lambda names, done, total: told.append(done / total))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_without_stages_there_is_the_trained_network_alone():
    _, steps = walked(network("plain"), ["grad"], Cascade(most=0))
    assert [step.state for step in steps] == [TRAINED]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"order": "topdown"}, "'topdown'.*'top_down'"),
        ({"init": "glorott"}, "'glorott'.*'glorot'"),
        ({"draws": 0}, "draws must be .* at least 1"),
        ({"depth": 0}, "depth must be .* at least 1"),
        ({"most": -1}, "number of stages"),
    ],
)
def test_misuse_is_a_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Cascade(**options)
