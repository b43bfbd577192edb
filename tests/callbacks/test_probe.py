"""Images and labels are found in batches that leave no doubt."""

from typing import Any

import pytest
import torch
from torch import Tensor

from explaindebug.callbacks.probe import unpack
from explaindebug.core.errors import DataError

IMAGES = torch.rand(4, 3, 8, 8)
LABELS = torch.tensor([2, 0, 1, 2])
OTHER = torch.rand(4, 7)


@pytest.mark.parametrize(
    "batch",
    [
        (IMAGES, LABELS),
        [LABELS, IMAGES],
        (LABELS, OTHER, IMAGES),
        (IMAGES, OTHER, LABELS),
        (IMAGES, LABELS, torch.arange(4), ["a"] * 4),
        {"img": IMAGES, "target": LABELS},
        {"inputs": IMAGES, "labels": LABELS},
        {"meta": OTHER, "scan": IMAGES, "diagnosis": LABELS},
        {"image": IMAGES, "depth": IMAGES + 1, "label": LABELS, "id": torch.arange(4)},
        {"input": OTHER, "picture": IMAGES, "y": LABELS},
    ],
)
def test_where_it_is_plain(batch: Any) -> None:
    found = unpack(batch)
    assert torch.equal(found.image, IMAGES)
    assert torch.equal(found.label, LABELS)


@pytest.mark.parametrize(
    "batch",
    [
        ([IMAGES, IMAGES], LABELS),
        (LABELS, IMAGES, IMAGES),
        IMAGES,
        (IMAGES,),
        {"before": IMAGES, "after": IMAGES, "label": LABELS},
        {"image": IMAGES},
        {"scan": IMAGES, "first": LABELS, "second": LABELS},
        (torch.rand(4, 3, 2, 8, 8), LABELS),
        (torch.rand(4, 8, 8), LABELS),
        (torch.rand(4, 5), LABELS),
        (torch.ones(4, 12, dtype=torch.long), LABELS),
        (torch.rand(4, 8, 9, 3), LABELS),
        (IMAGES, ["cat"] * 4),
        (IMAGES, LABELS[:2]),
        "batch",
        None,
    ],
)
def test_where_it_is_not_it_is_refused_with_the_remedy(batch: Any) -> None:
    with pytest.raises(DataError, match="unpack="):
        unpack(batch)


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (torch.tensor([0.0, 1.0, 2.0]), [0, 1, 2]),
        (torch.eye(3), [0, 1, 2]),
        (torch.tensor([[0.3, 0.7], [0.6, 0.4], [1.0, 0.0]]).half(), [1, 0, 0]),
        (torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]), [-1, -1, -1]),
        (torch.tensor([0.5, 1.0, -2.0]), [-1, -1, -1]),
        (torch.tensor([-100, 1, 0]), [-1, 1, 0]),
        (torch.rand(3, 4), [-1, -1, -1]),
        (torch.ones(3, 8, 8), [-1, -1, -1]),
    ],
    ids=["floats", "one-hot", "mixed", "several", "measures", "ignored", "boxes", "masks"],
)
def test_what_is_no_class_is_none(label: Tensor, classes: list[int]) -> None:
    assert unpack((torch.rand(3, 3, 4, 5), label)).label.tolist() == classes
