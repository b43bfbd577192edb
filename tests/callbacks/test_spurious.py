"""The test for spurious signals: ground truths in both orders, and the follow-up's comparison."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_modules import Module, Network, pictures, trainer
from torch import Tensor
from torch.utils.data import DataLoader

from explaindebug.callbacks import SpuriousSimilarity
from explaindebug.postprocessing import PostProcessing


class Masked(Module):
    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch["image"]), batch["label"])


def measured(tmp_path: Any, network: Network, **options: Any) -> SpuriousSimilarity:
    images, labels = pictures(12)
    mask = torch.ones(12, 1, 16, 16, dtype=torch.bool)
    mask[..., 11:15, 11:15] = False  # a tag in the corner
    fields = ("image", "label", "row", "mask", "scene")
    columns = (images, labels, torch.arange(12), mask, images * ~mask)
    items = [dict(zip(fields, item, strict=True)) for item in zip(*columns, strict=True)]
    callback = SpuriousSimilarity(["grad"], probe=12, strict=True, **options)
    run = trainer(tmp_path, [callback])
    run.validate(Masked(network), DataLoader(items, batch_size=5), verbose=False)
    return callback


def column(callback: SpuriousSimilarity, **where: str) -> np.ndarray:
    ((_, found),) = callback.scores.select(**where)
    return found.values


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
