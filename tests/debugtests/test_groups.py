"""The test of correlated groups, on networks of which it is known what they look at."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
import torch
from plain_lab import PlainLab
from torch import Tensor, nn

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.imageset import ImageSet, Splits
from explaindebug.debugtests import GroupsExperiment, NetworkSpec
from explaindebug.debugtests.groups import association, rare
from explaindebug.evaluation.follow_up import answers
from explaindebug.evaluation.results import TestResult
from explaindebug.evaluation.verdicts import verdicts

SIDE = 12
RARE = 0.1


def pictures(count: int, share: float, *, masks: bool) -> ImageSet:
    """Noise, right half (the object) bright in class 1, left half bright in group 1."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 2
    groups = np.where(np.arange(count) % round(2 / share) < 2, 1 - labels, labels)
    pixels = rng.integers(60, 100, (count, SIDE, SIDE, 3)).astype(np.uint8)
    pixels[..., : SIDE // 2, :] += (90 * groups).astype(np.uint8)[:, None, None, None]
    pixels[..., SIDE // 2 :, :] += (90 * labels).astype(np.uint8)[:, None, None, None]
    objects = np.zeros((count, SIDE, SIDE), bool)
    objects[..., SIDE // 2 :] = True
    known = objects if masks else None
    names = {"groups": groups, "group_names": ("land", "water")}
    return ImageSet(pixels, labels, ("landbird", "waterbird"), known, **names)


class Half(nn.Module):
    """Two opposite logits: how bright one half is, with weights of one seed."""

    def __init__(self, seed: int, *, right: bool) -> None:
        super().__init__()
        weights = 1 + 0.2 * torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        weights[:, :, slice(SIDE // 2) if right else slice(SIDE // 2, None)] = 0
        self.read = nn.Linear(3 * SIDE * SIDE, 2)
        self.read.weight.data = torch.stack([-weights.flatten(), weights.flatten()])
        threshold = 4 * (125 / 255 - 0.5) * weights.sum()
        self.read.bias.data = torch.stack([threshold, -threshold])

    def forward(self, images: Tensor) -> Tensor:
        return self.read(images.flatten(1))


@dataclass
class GroupLab(PlainLab):
    inputs: int = 24
    masks: bool = True
    fooled: tuple[str, ...] = ("correlated",)

    @cached_property
    def splits(self) -> dict:
        parts = ((200, RARE), (40, RARE), (100, 0.5))
        splits = Splits(*(pictures(n, share, masks=self.masks) for n, share in parts))
        return {"data": splits, "foreign": splits}

    def network(self, spec: NetworkSpec) -> nn.Module:
        self.asked.append(spec.name)
        return Half(spec.twin, right=spec.name not in self.fooled).eval()


def found(lab: GroupLab, **options: object) -> TestResult:
    experiment = GroupsExperiment(**{"majority": 12} | options)
    experiment.check(lab)
    expected, lab.calls = experiment.calls(lab), 0
    result = experiment.run(lab)
    assert lab.calls == expected
    return result


def test_a_network_that_reads_the_group_is_shown() -> None:
    result = found(GroupLab())
    (gate,) = result.gates
    assert gate.passed
    assert gate.value > 0.9
    (verdict,) = verdicts([result])
    assert (verdict.answer, verdict.condition) == ("shows", "minority")
    assert verdict.effect > 0.5
    asked = {a.condition: a for a in answers(result, margin=0.1, level=0.05)}
    assert set(asked) == {"majority", "share"}
    assert asked["share"].answer == "shows"
    assert asked["share"].bug == pytest.approx(1)
    assert asked["share"].control == pytest.approx(0)


def test_a_network_that_does_not_is_void_and_moves_nothing() -> None:
    result = found(GroupLab(fooled=()))
    assert result.void
    assert result.gates[0].value == 0
    (verdict,) = verdicts([result])
    assert abs(verdict.effect) < 0.1


def test_a_network_that_is_better_than_its_twins_is_void() -> None:
    result = found(GroupLab(fooled=("balanced", "balanced twin")))
    assert result.gates[0].value == -1
    assert result.void


def test_without_masks_the_share_is_not_asked_for() -> None:
    result = found(GroupLab(masks=False), majority=0)
    assert result.questions == ()
    assert set(result.scores.unique("condition")) == {"minority"}


def test_its_inputs_go_against_the_correlation_or_with_it() -> None:
    lab = GroupLab()
    train, _, test = lab.splits["data"]
    result = found(lab)
    for condition, against in (("minority", True), ("majority", False)):
        ((_, column),) = result.scores.select(condition=condition, role="bug", similarity="ssim")
        rows = np.asarray(column.rows)
        assert (rare(train, test)[rows] == against).all()
        assert ((test.labels != test.groups)[rows] == against).all()
        assert np.bincount(test.labels[rows]).tolist() == [len(rows) // 2] * 2


def test_worst_groups_are_among_the_facts() -> None:
    facts = found(GroupLab()).facts
    assert facts["worst-group accuracy, correlated"].startswith("0.00 (landbird, water")
    assert facts["worst-group accuracy, balanced"].startswith("1.00")


def test_data_without_groups_without_correlation_or_with_too_few_are_refused() -> None:
    with pytest.raises(DataError, match=r"no groups.*data=groups"):
        GroupsExperiment().check(PlainLab())
    lab = GroupLab()
    even = pictures(200, 0.5, masks=True)
    lab.splits["data"] = lab.splits["data"]._replace(train=even)
    with pytest.raises(DataError, match="class and group are independent"):
        GroupsExperiment().check(lab)
    with pytest.raises(DataError, match="minority test pictures of class"):
        GroupsExperiment().check(GroupLab(inputs=60))
    with pytest.raises(ConfigError, match=r"strength .* got 2"):
        GroupsExperiment(strength=2)


def test_the_network_to_debug_has_what_is_left_of_the_correlation() -> None:
    lab = GroupLab()
    train = [lab.data("data", s.bug).data.train for s in GroupsExperiment(0.5).networks()]
    seen = [(part.labels == part.groups).mean() for part in train]
    assert seen == pytest.approx([0.5, 0.5, 0.7], abs=0.02)


def test_association_is_cramer_s_v() -> None:
    assert association(np.array([[5, 0], [0, 5]])) == pytest.approx(1)
    assert association(np.array([[4, 4], [3, 3]])) == 0
    assert association(np.array([[30, 10], [10, 30]])) == pytest.approx(0.5)


def test_other_data_keeps_its_groups() -> None:
    one = pictures(4, 0.5, masks=False)
    assert replace(one, mean=(0.4,)).groups is one.groups
    with pytest.raises(DataError, match="groups range from 0 to 1, but there are 1 group_names"):
        replace(one, group_names=("land",))
