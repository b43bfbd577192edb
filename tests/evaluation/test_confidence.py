"""Loss, self-influence and confidence, each against what it is by definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from explaindebug.evaluation.confidence import confidences, losses, self_influences
from explaindebug.models import BVDCNN


def data(classes: int, n: int = 9):
    torch.manual_seed(0)
    network = BVDCNN(1 if classes == 2 else classes, 16, 3, widths=(4, 6), hidden=(8,))
    images = torch.randn(n, 3, 16, 16)
    return network, images, torch.randint(0, classes, (n,))


@pytest.mark.parametrize("classes", [2, 5])
def test_loss_is_the_loss_it_was_trained_with(classes: int) -> None:
    network, images, labels = data(classes)
    logits = network.eval()(images)
    expected = (
        F.binary_cross_entropy_with_logits(logits[:, 0], labels.float(), reduction="none")
        if classes == 2
        else F.cross_entropy(logits, labels, reduction="none")
    )
    assert torch.allclose(losses(network, images, labels, chunk=4).float(), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 5])
def test_self_influence_is_the_squared_gradient_to_the_last_layer(classes: int) -> None:
    network, images, labels = data(classes)
    network.train()  # with dropout: what is measured is the network in eval mode
    found = self_influences(network, images, labels, chunk=4)
    network.eval()
    for image, label, value in zip(images, labels, found, strict=True):
        z = network(image[None])
        loss = F.cross_entropy(torch.cat([-z / 2, z / 2], 1) if classes == 2 else z, label[None])
        gradients = torch.autograd.grad(loss, list(network.fc2.parameters()))
        squared = sum(float(g.square().sum()) for g in gradients)
        assert float(value) == pytest.approx(squared, rel=1e-4)


def test_self_influence_of_a_network_that_ends_in_a_convolution() -> None:
    torch.manual_seed(0)
    head = nn.Conv2d(4, 3, 1)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), head, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    images, labels = torch.randn(3, 3, 8, 8), torch.tensor([0, 1, 2])
    found = self_influences(network, images, labels, chunk=2)
    for image, label, value in zip(images, labels, found, strict=True):
        loss = F.cross_entropy(network(image[None]), label[None])
        gradients = torch.autograd.grad(loss, list(head.parameters()))
        squared = sum(float(g.square().sum()) for g in gradients)
        assert float(value) == pytest.approx(squared, rel=1e-4)


def test_measuring_leaves_no_trace() -> None:
    network, images, labels = data(2)
    network.train().requires_grad_(True)
    torch.manual_seed(3)
    self_influences(network, images, labels)
    losses(network, images, labels)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.rand(1) == after
    assert network.training
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert not network.fc2._forward_hooks


def test_msp_orders_as_the_largest_probability_and_energy_is_the_log_partition() -> None:
    network, images, _ = data(5)
    logits = network.eval()(images).double()
    found = confidences(network, images)
    probability = logits.softmax(1).amax(1)
    assert torch.allclose(found["msp"], -probability.log(), atol=1e-6)
    assert torch.allclose(found["energy"], -logits.logsumexp(1), atol=1e-5)


def test_one_logit_has_no_say_in_which_class_is_sure() -> None:
    class Given(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

    z = torch.tensor([-60.0, -50, -1, 0, 1, 50, 60]).view(-1, 1, 1, 1)
    found = confidences(Given(), z)
    for scores in found.values():
        assert torch.allclose(scores, scores.flip(0), atol=0)
        assert scores.unique().numel() == 4  # sure and surer don't tie
    order = [np.argsort(scores.numpy(), kind="stable").tolist() for scores in found.values()]
    assert order[0] == order[1]
