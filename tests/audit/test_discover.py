"""Which region does a network rely on? Networks whose answer is known."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explaindebug.audit import discover
from explaindebug.audit.candidates import Candidate
from explaindebug.audit.discover import halves, off_object
from explaindebug.audit.trial import TWIN, Trial
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.debugtests.reliance import DROP, HEADLINE
from explaindebug.evaluation.results import Answer, TestResult
from explaindebug.evaluation.scores import Key
from explaindebug.evaluation.suspects import answered, both, either
from explaindebug.evaluation.verdicts import verdicts

N, SIDE, CORNER = 80, 16, 5
METHODS = ("inputgrad",)


class Corner(nn.Module):
    """The logit of class 1 is the sum over one corner; class 0's is 0."""

    def __init__(self, scale: float = 0.5, bottom: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.part = slice(SIDE - CORNER, SIDE) if bottom else slice(0, CORNER)

    def forward(self, x: Tensor) -> Tensor:
        logit = self.scale * x[:, 0, self.part, self.part].sum((1, 2))
        return torch.stack([0 * logit, logit], 1)


def inputs() -> Tensor:
    """Noise, and in both corners a level that is high in one half of the inputs."""
    images = 0.1 * torch.randn(N, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    level = torch.where(torch.arange(N) % 2 > 0, 1.0, -1.0).view(-1, 1, 1, 1)
    images[:, :, :CORNER, :CORNER] += level
    images[:, :, -CORNER:, -CORNER:] += level
    return images


def corner(bottom: bool = False, count: int = N) -> Tensor:
    mask = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.bool)
    part = slice(SIDE - CORNER, SIDE) if bottom else slice(0, CORNER)
    mask[:, :, part, part] = True
    return mask


def tried(
    network: nn.Module, regions: Tensor, twin: nn.Module | None = None
) -> Sequence[TestResult]:
    images = inputs()
    with torch.no_grad():
        predicted = network(images).argmax(1).numpy()
    rows = np.arange(N)
    trial = Trial(network, images, predicted, ["mean", "swap"], twin)
    return trial(Candidate("own", "Own", rows, regions), rows)


def test_the_corner_that_a_network_reads_is_found_and_confirmed() -> None:
    found = discover(Corner(), inputs(), methods=METHODS, area=CORNER**2 / SIDE**2)
    assert found.answer == "shows"
    best = next(one for one in found.suspects if one.name == "ranks")
    assert best.answer == "shows"
    inside = corner()[0, 0].flatten()
    trained = found.result.tests[0].galleries[0].maps["changed in the region"]["swap"][0]
    assert (trained.ravel()[inside.numpy()] > 0).mean() > 0.9  # the region is that corner
    assert best.shares["inputgrad"] > 0.9
    assert best.area == pytest.approx(CORNER**2 / SIDE**2, abs=0.01)


def test_only_the_region_that_is_read_is_confirmed() -> None:
    for bottom, answer in ((False, "shows"), (True, "doesn't")):
        judged = verdicts(tried(Corner(), corner(bottom)))
        assert {v.answer for v in judged} == {answer}
        assert {v.method for v in judged} == {"mean", "swap"}
    complement = verdicts(tried(Corner(), ~corner()))
    assert {v.answer for v in complement} == {"doesn't"}


def test_a_swap_takes_its_pixels_from_another_predicted_class() -> None:
    [test] = tried(Corner(), corner())
    lost = test.scores[Key("own", "swap", HEADLINE.condition, "bug", DROP)].values
    assert lost.min() > 0.9  # the class turns over: a swap within the class would lose nothing


def test_the_arms_are_not_exchanged() -> None:
    """The network loses in the region, not elsewhere, and more than a twin that reads elsewhere."""
    own, against = tried(Corner(), corner(), Corner(bottom=True))
    for test, headline in ((own, HEADLINE), (against, TWIN)):
        bug, control = (
            test.scores[Key("own", "swap", headline.condition, role, DROP)].values
            for role in ("bug", "control")
        )
        assert bug.mean() > 0.9
        assert control.mean() < 0.2


def test_what_a_twin_loses_as_well_is_not_confirmed() -> None:
    options = {"methods": METHODS, "sources": ["ranks"]}
    for twin, answer in ((Corner(), "doesn't"), (Corner(bottom=True), "shows")):
        found = discover(Corner(), inputs(), control=twin, **options)  # type: ignore[arg-type]
        assert found.suspects[0].answer == answer
        assert {v.answer for v in found.suspects[0].verdicts} >= {"shows"}


def test_of_a_blind_network_nothing_is_confirmed() -> None:
    found = discover(Corner(scale=0.0), inputs(), methods=METHODS)
    assert found.confirmed == []
    assert found.answer == "can't tell"  # its maps are flat, so there is nothing to test
    assert {v.answer for v in verdicts(tried(Corner(scale=0.0), corner()))} == {"doesn't"}


def test_what_lies_on_the_object_is_left_alone() -> None:
    on = discover(Corner(), inputs(), masks=corner(), methods=METHODS, sources=["ranks"])
    assert on.confirmed == []
    assert on.suspects[0].on_object is not None
    assert on.suspects[0].on_object > 0.8
    off = discover(Corner(), inputs(), masks=corner(True), methods=METHODS, sources=["ranks"])
    assert off.suspects[0].answer == "shows"
    assert off.suspects[0].on_object == 0


def test_a_rim_around_the_object_is_left_alone_too() -> None:
    candidate = Candidate("own", "Own", np.arange(N), corner())
    objects = torch.zeros(N, 1, SIDE, SIDE, dtype=torch.bool)
    objects[:, :, 3:5, :5] = True  # with a rim of one pixel, rows 2 to 5
    objects[:2] = True
    left = off_object(candidate, objects)
    assert left.rows.tolist() == list(range(2, N))
    assert left.regions[0, 0].nonzero()[:, 0].unique().tolist() == [0, 1]


def test_candidates_are_tested_on_inputs_that_were_not_looked_at() -> None:
    images = inputs()
    found = discover(Corner(), images, methods=METHODS)
    assert not set(found.found) & set(found.held)
    assert sorted([*found.found, *found.held]) == list(range(N))
    for _, column in found.scores:
        assert set(column.rows) <= set(found.held)


def test_halves_split_every_class_and_depend_on_the_seed() -> None:
    predicted = np.repeat([0, 1, 2], [11, 20, 1])
    first, second = halves(predicted, 3)
    assert abs(int((predicted[first] == 0).sum()) - 5.5) == 0.5
    assert int((predicted[first] == 1).sum()) == 10
    assert not np.array_equal(first, halves(predicted, 4)[0])
    assert np.array_equal(second, halves(predicted, 3)[1])


def test_the_same_seed_gives_the_same_answer() -> None:
    first, second = (discover(Corner(), inputs(), methods=METHODS, seed=5) for _ in range(2))
    assert str(first) == str(second)
    assert [v.p for v in first.verdicts] == [v.p for v in second.verdicts]


def test_the_network_is_left_as_it_was() -> None:
    network = Corner().train()
    state = torch.random.get_rng_state()
    discover(network, inputs(), methods=METHODS, sources=["ranks"])
    assert network.training
    assert network.scale.requires_grad
    assert network.scale.grad is None
    assert torch.equal(torch.random.get_rng_state(), state)


def test_answers_of_fills_and_twins() -> None:
    every: tuple[Answer, ...] = ("shows", "doesn't", "can't tell")
    assert [either(pair) for pair in itertools.product(every, every)] == [
        "shows", "shows", "shows", "shows", "doesn't", "can't tell", "shows", "can't tell",
        "can't tell",
    ]  # fmt: skip
    assert [both(*pair) for pair in itertools.product(every, every)] == [
        "shows", "doesn't", "can't tell", "doesn't", "doesn't", "doesn't", "can't tell", "doesn't",
        "can't tell",
    ]  # fmt: skip
    assert either([]) == "can't tell"
    shows = verdicts(tried(Corner(), corner()))
    fails = [replace(v, answer="doesn't") for v in shows]
    assert answered(shows, []) == "shows"
    assert answered(shows, fails) == "doesn't"
    assert answered(shows, fails[:1] + shows[1:]) == "shows"  # another fill still does


def test_what_can_not_be_used_is_refused_first() -> None:
    images = inputs()
    for options, error, why in (
        ({"area": 0.9}, ConfigError, "area"),
        ({"sources": ["rank"]}, ConfigError, "ranks"),
        ({"sources": []}, ConfigError, "source"),
        ({"fills": ["blurr"]}, ConfigError, "blur"),
        ({"metadata": {"site": [1, 2]}}, DataError, "site"),
        ({"captions": ["a"]}, DataError, "captions"),
        ({"masks": corner().float()}, DataError, "masks"),
    ):
        with pytest.raises(error, match=why):  # type: ignore[arg-type]
            discover(Corner(), images, methods=METHODS, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="24"):
        discover(Corner(), images[:10], methods=METHODS)
