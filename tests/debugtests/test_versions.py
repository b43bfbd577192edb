"""Two versions of a network, on linear ones whose maps are rows of weights."""

import math
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.audit import Versioned, compare_models
from explaindebug.audit.budget import fitted
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.forecast import Cost
from explaindebug.debugtests import SimpleLab, run_test
from explaindebug.debugtests.versions import Versions

SIDE, N, SCALE = 8, 24, 1e3


class Linear(nn.Module):
    """Logits that are linear in the pixels, so that a gradient is a row of weights."""

    def __init__(self, seed: int = 1, outputs: int = 3) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, outputs)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(outputs, SIDE * SIDE, generator=seeded(seed)))
            self.head.bias.copy_(SCALE * torch.arange(outputs, 0, -1))  # class 0 always wins

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.flatten(1))
        return logits


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(n: int = N) -> Tensor:
    return torch.randn(n, 1, SIDE, SIDE, generator=seeded(0))


def near(network: Linear, noise: float, seed: int) -> Linear:
    """The network with a little noise on its weights, as a retrained seed."""
    other = deepcopy(network)
    with torch.no_grad():
        drawn = torch.randn(other.head.weight.shape, generator=seeded(seed))
        other.head.weight.add_(noise * drawn)
    return other


def swapped(network: Linear) -> Linear:
    """The network with the weights of classes 0 and 1 swapped."""
    other = deepcopy(network)
    with torch.no_grad():
        other.head.weight.copy_(network.head.weight[[1, 0, 2]])
    return other


def torn(network: Linear, rows: int) -> Linear:
    """The network with a pixel that turns the answer of the inputs in which it is 1."""
    other = deepcopy(network)
    with torch.no_grad():
        other.head.weight[1, rows] += 1e6
    return other


def compared(old: nn.Module, new: nn.Module, images: Tensor, **options: Any) -> Versioned:
    return compare_models(old, new, images, **{"methods": "grad", "pictures": 2, **options})


def alike(one: Linear, other: Linear) -> float:
    """Rank correlation of the sizes of both networks' weights for class 0, the largest clipped."""
    rows = [network.head.weight[0].detach().abs().numpy() for network in (one, other)]
    return float(spearmanr(*(np.minimum(row, np.sort(row)[-2]) for row in rows)).statistic)


def test_drift_is_that_of_the_weights_for_the_old_versions_class() -> None:
    old, twin = Linear(), near(Linear(), 0.1, 5)
    new = swapped(old)
    found = compared(old, new, inputs(), control=twin)
    assert alike(old, twin) > 0.9 > alike(old, new)  # else the test shows nothing
    for one in found.inputs:
        assert one.similarity["grad"] == pytest.approx(alike(old, new), abs=1e-6)
        assert one.control["grad"] == pytest.approx(alike(old, twin), abs=1e-6)
        assert one.drift == pytest.approx(1 - alike(old, new), abs=1e-6)
    (verdict,) = found.verdicts
    assert verdict.effect == pytest.approx(alike(old, twin) - alike(old, new), abs=1e-6)
    assert verdict.answer == "shows"
    assert found.reasons == "changed"
    assert not found.result.tests[0].same_network
    back = compared(new, old, inputs(), control=near(new, 0.1, 5))
    assert back.inputs[0].similarity["grad"] == pytest.approx(alike(old, new), abs=1e-6)


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_identical_versions_have_no_drift(seeds: int) -> None:
    old = Linear()
    found = compared(
        old, deepcopy(old), inputs(), control=[near(old, 0.1, k) for k in range(seeds)]
    )
    assert [one.drift for one in found.inputs] == pytest.approx([0] * N)
    assert found.reasons == "same"
    assert found.seeds == seeds
    assert found.verdicts[0].models == (1, max(1, seeds))


def test_without_a_retrained_seed_a_change_is_open() -> None:
    old = Linear()
    found = compared(old, swapped(old), inputs())
    assert found.verdicts[0].answer == "shows"
    assert found.verdicts[0].control > 0.99  # of a gradient that is the same for every input
    assert found.reasons == "can't tell"


def test_a_control_as_unlike_as_the_new_version_tells_nothing() -> None:
    unrelated = [Linear(k) for k in range(1, 40)]
    old, new = unrelated[:2]
    twin = min(unrelated[2:], key=lambda one: abs(alike(old, one) - alike(old, new)))
    found = compared(old, new, inputs(), control=twin)
    assert found.verdicts[0].answer == "doesn't"
    assert found.reasons == "can't tell"


def test_a_changed_answer_is_listed_and_not_counted() -> None:
    images = inputs()
    images[:, 0, 0, 0] = 0
    images[:5, 0, 0, 0] = 1
    old = Linear()
    new, twin = torn(swapped(old), 0), near(old, 0.1, 5)
    found = compared(old, new, images, control=twin)
    lost = {one.row for one in found.inputs if not one.kept}
    assert lost == set(range(5))
    assert [one.row for one in found.inputs[-5:]] == list(range(5))
    assert found.verdicts[0].n == N - 5
    for one in found.inputs:
        assert one.counted == one.kept
        assert math.isnan(one.drift) != one.kept
        assert (one.new_class, one.old_class) == (0 if one.kept else 1, 0)
        assert one.old == pytest.approx(1)
        assert one.new == pytest.approx(float(one.kept))
    everything = torch.ones_like(images)
    nothing = compared(old, new, everything, control=twin)
    assert nothing.reasons == "can't tell"
    assert not nothing.verdicts


def test_an_input_that_only_the_retrained_seed_loses_is_ranked_and_not_counted() -> None:
    images = inputs()
    images[:, 0, 0, 0] = 0
    images[:5, 0, 0, 0] = 1
    old = Linear()
    found = compared(old, swapped(old), images, control=torn(near(old, 0.1, 5), 0))
    assert found.verdicts[0].n == N - 5
    assert all(one.kept and not math.isnan(one.drift) for one in found.inputs)
    assert {one.row for one in found.inputs if not one.counted} == set(range(5))


def test_inputs_are_ranked_and_drawn_by_drift() -> None:
    old = Linear()
    found = compared(
        old, swapped(old), inputs(), methods="inputgrad", control=near(old, 0.1, 5),
        captions=[f"{k}.png" for k in range(N)],
    )  # fmt: skip
    drifts = [one.drift for one in found.inputs]
    assert drifts == sorted(drifts, reverse=True)
    assert drifts[0] > drifts[-1]
    (gallery,) = found.result.tests[0].galleries
    assert list(gallery.maps) == ["old version", "new version"]
    assert [text.split(",")[0] for text in gallery.captions] == [
        one.name for one in found.inputs[:2]
    ]
    top = found.inputs[0].row
    raw = old.head.weight[0].detach().view(SIDE, SIDE) * inputs()[top, 0]
    drawn = gallery.maps["old version"]["inputgrad"][0]
    assert spearmanr(drawn.ravel(), raw.numpy().ravel()).statistic > 0.99


def test_the_share_on_the_object_is_measured_under_both() -> None:
    masks = torch.zeros(N, 1, SIDE, SIDE, dtype=torch.bool)
    masks[..., :4, :] = True
    old = Linear()
    new = deepcopy(old)
    with torch.no_grad():
        new.head.weight[0, :32] = 0
    found = compared(old, new, inputs(), masks=masks, control=near(old, 0.1, 5))
    weights = old.head.weight[0].detach().abs()
    share = float(weights[:32].sum() / weights.sum())
    assert found.inputs[0].object_old["grad"] == pytest.approx(share, abs=1e-5)
    assert found.inputs[0].object_new["grad"] == pytest.approx(0)
    assert found.inputs[0].object_change == pytest.approx(-share, abs=1e-5)


def test_networks_are_left_as_they_were_and_a_single_test_runs_as_any_other() -> None:
    old, new, twin = Linear(), swapped(Linear()), near(Linear(), 0.1, 5)
    before = [deepcopy(n.state_dict()) for n in (old, new, twin)]
    lab = SimpleLab(inputs(), {"bug": new, "reference": old, "control": twin})
    found = run_test(Versions(), lab, methods="grad", similarities=["spearman"])
    assert [v.answer for v in found.verdicts] == ["shows"]
    for network, state in zip((old, new, twin), before, strict=True):
        assert all(torch.equal(x, state[name]) for name, x in network.state_dict().items())


def test_what_can_not_be_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match="outputs"):
        compared(Linear(), Linear(outputs=4), inputs())
    with pytest.raises(ConfigError, match="budget"):
        compared(Linear(), Linear(), inputs(), budget=0)
    with pytest.raises(ConfigError, match="noise"):
        compared(Linear(), Linear(), inputs(), noise=0.0)
    with pytest.raises(DataError, match="masks"):
        compared(Linear(), Linear(), inputs(), masks=torch.ones(1))
    lab = SimpleLab(inputs(), {"bug": Linear()})
    with pytest.raises(ConfigError, match="reference"):
        run_test(Versions(), lab, methods="grad")


@pytest.mark.parametrize(
    ("seconds", "methods", "inputs"),
    [(1000.0, 2, 100), (80.0, 2, 40), (12.0, 1, 12), (0.0, 1, 1)],
)
def test_a_budget_leaves_out_inputs_and_then_methods(
    seconds: float, methods: int, inputs: int
) -> None:
    def cost(plan: Plan) -> Cost:
        return Cost(1.0 * len(plan.methods), 1.0 * len(plan.methods))

    found = fitted(lambda: seconds, Plan(["grad", "inputgrad"]), 100, cost)
    assert list(found.plan.methods) == ["grad", "inputgrad"][:methods]
    assert found.inputs == inputs
    assert len(found.said) == (inputs < 100)


def test_a_budget_that_is_too_short_is_said_and_spreads_what_is_left() -> None:
    found = compared(
        Linear(), swapped(Linear()), inputs(), budget=1e-6, methods=["grad", "inputgrad"]
    )
    assert len(found.result.warnings) == 1
    assert list(found.result.methods) == ["grad"]
    assert np.isfinite([one.drift for one in found.inputs]).sum() == 1
    assert found.reasons == "can't tell"
