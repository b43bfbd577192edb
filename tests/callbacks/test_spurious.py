"""The test for spurious signals: ground truths in both orders, and the follow-up's comparison."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning_modules import Module, Network, pictures, trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from explaindebug.callbacks import SpuriousSimilarity
from explaindebug.core.errors import AttributionError
from explaindebug.evaluation.postprocessing import PostProcessing


class Masked(Module):
    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch["image"]), batch["label"])


def measured(tmp_path: Any, network: nn.Module, **options: Any) -> SpuriousSimilarity:
    images, labels = pictures(12)
    mask = torch.ones(12, 1, 16, 16, dtype=torch.bool)
    mask[..., 11:15, 11:15] = False  # a tag in the corner
    fields = ("image", "label", "row", "signal", "scene")
    columns = (images, labels, torch.arange(12), ~mask, images * ~mask)
    items = [dict(zip(fields, item, strict=True)) for item in zip(*columns, strict=True)]
    callback = SpuriousSimilarity(["grad"], probe=12, strict=True, **options)
    run = trainer(tmp_path, [callback])
    run.validate(Masked(network), DataLoader(items, batch_size=5), verbose=False)
    return callback


def column(callback: SpuriousSimilarity, **where: str) -> np.ndarray:
    ((_, found),) = callback.scores.select(**where)
    return found.values


class Flat(nn.Module):
    """A network with known maps: for every class, `signal` on the tag and `rest` elsewhere."""

    def __init__(self, signal: float, rest: float) -> None:
        super().__init__()
        self.flatten, self.fc = nn.Flatten(), nn.Linear(3 * 16**2, 3)
        weight = torch.full((16, 16), rest)
        weight[11:15, 11:15] = signal
        self.fc.weight.data = weight.expand(3, 3, 16, 16).flatten(1).clone()

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.flatten(images))


def networks(count: int) -> list[Network]:
    torch.manual_seed(0)
    return [Network() for _ in range(count)]


def test_false_alarms_compare_a_good_network_with_the_bad_and_with_another_good_one(
    tmp_path: Any,
) -> None:
    bad, good, other = networks(3)
    callback = measured(tmp_path, bad, control=[good, other], similarities=["spearman"])
    bug, control = (column(callback, condition="fam", role=r) for r in ("bug", "control"))
    assert (np.abs(bug) < 0.9).all()
    assert not np.array_equal(bug, control)
    turned = measured(tmp_path, other, control=[good, bad], similarities=["spearman"])
    assert np.allclose(column(turned, condition="fam", role="bug"), control)
    same = measured(tmp_path, good, control=[good, bad], similarities=["spearman"])
    assert np.allclose(column(same, condition="fam", role="bug"), 1)


def test_without_a_good_network_there_is_no_such_comparison(tmp_path: Any) -> None:
    (network,) = networks(1)
    assert "fam" not in measured(tmp_path, network).scores.unique("condition")


@pytest.mark.parametrize(("signal", "rest"), [(3.0, 1.0), (1.0, 3.0), (2.0, 0.0)])
def test_of_a_map_by_hand_share_and_gt1_are_closed_forms(
    tmp_path: Any, signal: float, rest: float
) -> None:
    """The tag has 16 of 256 pixels; the mask of GT-1 is 1 there and 0 elsewhere."""
    callback = measured(tmp_path, Flat(signal, rest), similarities=["cosine"])
    share = 16 * signal / (16 * signal + 240 * rest)
    np.testing.assert_allclose(column(callback, condition="share", role="bug"), share, rtol=1e-5)
    cosine = 16 * signal / (16 * (16 * signal**2 + 240 * rest**2)) ** 0.5
    for condition, expected in (("gt1", cosine), ("gt2", cosine)):  # the scene has the same map
        found = column(callback, condition=condition, role="bug", similarity="cosine")
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gt1_of_the_signal_itself_is_one_and_of_all_else_is_minus_one(tmp_path: Any) -> None:
    similarities = ["ssim", "spearman"]
    there, elsewhere = (
        measured(tmp_path, Flat(*weights), similarities=similarities)
        for weights in ((2.0, 0.0), (1.0, 2.0))
    )
    for similarity in similarities:
        found = column(there, condition="gt1", role="bug", similarity=similarity)
        np.testing.assert_allclose(found, 1, atol=1e-5)
    found = column(elsewhere, condition="gt1", role="bug", similarity="spearman")
    np.testing.assert_allclose(found, -1, atol=1e-5)


def test_the_order_of_mask_and_normalisation_changes_the_second_ground_truth_alone(
    tmp_path: Any,
) -> None:
    (network,) = networks(1)
    before, after = (
        measured(tmp_path, network, postprocessing=PostProcessing(mask=order))
        for order in ("before", "after")
    )
    for condition in ("gt1", "gt2"):
        one, other = (
            column(c, condition=condition, role="bug", similarity="ssim") for c in (before, after)
        )
        assert np.allclose(one, other) == (condition == "gt1")


def test_no_scene_is_needed_where_the_signal_is_no_background(tmp_path: Any) -> None:
    images, labels = pictures(6)
    signal = torch.zeros(6, 1, 16, 16, dtype=torch.bool)
    signal[..., 11:15, 11:15] = True
    columns = {"image": images, "label": labels, "signal": signal}
    items = [{name: x[i] for name, x in columns.items()} for i in range(6)]
    callback = SpuriousSimilarity(["grad"], control=Network(), probe=6, strict=True)
    network = Flat(2.0, 1.0)
    trainer(tmp_path, [callback]).validate(Masked(network), DataLoader(items, 6), verbose=False)
    assert set(callback.scores.unique("condition")) == {"gt1", "share", "fam"}
    share = column(callback, condition="share", role="bug")
    inside, outside = 16 * 2.0, (16**2 - 16) * 1.0
    np.testing.assert_allclose(share, inside / (inside + outside), rtol=1e-5)


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (None, "~mask"),
        (torch.ones(6, 1, 16, 16), "torch.bool"),
        (torch.ones(6, 16, 16, dtype=torch.bool), r"\(6, 1, 16, 16\)"),
    ],
)
def test_a_signal_that_is_none_is_refused(
    signal: torch.Tensor | None, said: str, tmp_path: Any
) -> None:
    images, labels = pictures(6)
    columns = {"image": images, "label": labels, "mask": torch.ones(6, 1, 16, 16)}
    columns |= {} if signal is None else {"signal": signal}
    items = [{name: x[i] for name, x in columns.items()} for i in range(6)]
    callback = SpuriousSimilarity(["grad"], probe=6, strict=True)
    with pytest.raises(AttributionError, match=said):
        trainer(tmp_path, [callback]).validate(
            Masked(Flat(2.0, 1.0)), DataLoader(items, 6), verbose=False
        )
