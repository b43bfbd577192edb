"""Smoothing, and one work in many states."""

import pytest
import torch
from cascade_networks import images, network

from explaindebug.attributions._engine.jobs import jobs_of
from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.reinitialisation import fresh
from explaindebug.cascade.states import TRAINED, InAllStates, Logits, Smoothing, State
from explaindebug.core.errors import ConfigError


def test_noisy_copies_have_the_asked_spread_and_depend_on_their_input_alone():
    x = 3 * images(4, 64)
    copies = torch.stack(list(Smoothing(40, 0.2)(x)))
    ranges = x.amax((1, 2, 3)) - x.amin((1, 2, 3))
    torch.testing.assert_close((copies - x).std((0, 2, 3, 4)), 0.2 * ranges, rtol=0.02, atol=0)
    assert torch.equal(torch.stack(list(Smoothing(40, 0.2)(x[1:2])))[:, 0], copies[:, 1])
    assert not torch.equal(copies[0], copies[1])
    assert not torch.equal(next(Smoothing(1, 0.2, seed=1)(x)), copies[0])


def test_one_copy_without_noise_is_the_image():
    x = images()
    assert torch.equal(next(Smoothing(1, 0.0)(x)), x)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [((0, 0.1), "copies must be .* at least 1, got 0"), ((5, -1.0), "share of each input's range")],
)
def test_misuse_is_a_sentence(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Smoothing(*options)


def test_a_model_is_in_a_state_for_a_while():
    model = network("plain")
    state = State("fc3", 0, fresh(model, ["fc3"], seed=0).tensors)
    before = model.fc3.weight.clone()
    with state.of(model):
        assert torch.equal(model.fc3.weight, state.tensors["fc3.weight"])
    assert torch.equal(model.fc3.weight, before)


def test_what_two_states_have_not_in_common():
    model = network("plain")
    first, other = (fresh(model, ["fc2", "fc3"], seed=0, draw=draw) for draw in (0, 1))
    one = State("fc3", 0, first.of(["fc3"]))
    two = State("fc2", 0, first.of(["fc2", "fc3"]))
    both = {"fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"}
    assert two.unlike(TRAINED) == TRAINED.unlike(two) == both
    assert two.unlike(one) == one.unlike(two) == {"fc2.weight", "fc2.bias"}
    assert two.unlike(two) == set()
    assert State("fc2", 1, other.of(["fc2", "fc3"])).unlike(two) == both


@pytest.mark.parametrize("smoothing", [None, Smoothing(3, 0.1)])
def test_work_is_done_in_every_state(smoothing):
    model, x, y = network("plain"), images(), torch.tensor([0, 1, 2])
    states = [TRAINED, State("fc3", 0, fresh(model, ["fc3"], seed=0).tensors)]
    plan = Plan(["grad"])
    (job,) = jobs_of(plan.methods, x, y, 8)
    done = InAllStates([job, job], states, smoothing, 2**28)
    found = done(model)
    for state, maps in zip(states, found, strict=True):
        with state.of(model):
            copies = [x] if smoothing is None else list(smoothing(x))
            expected = torch.stack([plan(model, c, y)["grad"] for c in copies]).mean(0)
            torch.testing.assert_close(maps["grad"], expected, rtol=1e-4, atol=1e-6)
            if smoothing is None:  # the logits came along
                torch.testing.assert_close(maps["logits"], model(x))
    assert done.cost == 2 * 3 * (1 if smoothing is None else 3)


def test_logits_are_never_smoothed():
    model, x = network("plain"), images()
    work = Logits(x, slice(1, 3))
    (found,) = InAllStates([work], [TRAINED], Smoothing(4, 0.5), 0)(model)
    torch.testing.assert_close(found["logits"], model(x[1:3]))
