"""Which number is explained."""

import pytest
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.targets import explained, predicted, score
from explaindebug.core.errors import ConfigError


def test_the_highest_logit_is_predicted() -> None:
    assert predicted(torch.tensor([[1.0, 3, 2], [0, -1, -2]])).tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_logit_means_class_one_where_it_is_positive(shape: tuple[int, ...]) -> None:
    logits = torch.tensor([2.0, -1, 0]).reshape(shape)
    assert predicted(logits).tolist() == [1, 0, 0]
    assert score(logits, predicted(logits)).tolist() == [2, 1, 0]  # for its class, never against
    assert score(logits, torch.tensor([0, 1, 1])).tolist() == [-2, -1, 0]


def test_the_score_is_the_targets_logit() -> None:
    logits = torch.tensor([[1.0, 3, 2], [0, -1, -2]], dtype=torch.float64)
    found = score(logits, torch.tensor([2, 0]))
    assert found.tolist() == [2, 0]
    assert found.dtype == torch.float64


@pytest.mark.parametrize(
    ("logits", "target", "words"),
    [
        (torch.zeros(2, 3), 3, r"target class 3 .* 3 classes \(0 to 2\)"),
        (torch.zeros(2, 1), 2, r"target class 2 .* 2 classes \(0 to 1\)"),
        (torch.zeros(2), -1, "target class -1"),
    ],
)
def test_a_target_outside_the_classes_is_refused(logits: Tensor, target: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        score(logits, torch.tensor([0, target]))


def test_the_images_are_not_the_models_to_change() -> None:
    class Greedy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.zero_().mean((2, 3))

    images = torch.ones(2, 3, 4, 4)
    explained(Greedy(), images, torch.tensor([0, 2]))
    assert images.min() == 1
