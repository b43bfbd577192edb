import pytest
import torch

from explaindebug.evaluation.output_drift import DRIFTS, drift


def test_by_hand():
    first = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    now = torch.tensor([[6.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    found = drift(first, now)
    assert tuple(found) == DRIFTS
    assert found["agreement"].tolist() == [1, 0, 1]
    assert found["l2"].tolist() == pytest.approx([1, 2**0.5, 0])
    assert found["cosine"].tolist() == pytest.approx([1, 0, 1])
    p, q = first.double().softmax(1), now.double().softmax(1)
    assert found["probability"].tolist() == pytest.approx((p - q)[:, 0].abs().tolist())


def test_a_single_logit_speaks_for_two_classes():
    first, now = torch.tensor([[2.0], [1.0]]), torch.tensor([[-2.0], [4.0]])
    for shape in ((2, 1), (2,)):
        found = drift(first.view(shape), now.view(shape))
        assert found["agreement"].tolist() == [0, 1]
        expected = (first.double().sigmoid() - now.double().sigmoid()).abs().flatten()
        assert found["probability"].tolist() == pytest.approx(expected.tolist())
        assert found["cosine"].tolist() == [-1, 1]


def test_all_probability_can_move():
    found = drift(torch.tensor([[50.0, 0, 0]]), torch.tensor([[0, 50.0, 0]]))
    assert found["probability"].item() == pytest.approx(1)
