"""Explaining one of several outputs, or a number made of them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from explaindebug import attribute, cascade
from explaindebug.attributions import OutputOf
from explaindebug.core.errors import ConfigError, UnsupportedModelError

METHODS = ["grad", "inputgrad", "gbp", "lrp_eps", "gradcam", {"intgrad": {"steps": 64}}]


class Segmenter(nn.Module):
    """Logits (n, 3, h, w) in a mapping, and a number per image beside them."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=bias), nn.ReLU())
        self.head = nn.Conv2d(6, 3, 1, bias=bias)

    def forward(self, x: Tensor) -> dict[str, Any]:
        found = self.head(self.body(x))
        return {"out": found, "pooled": found.mean((2, 3))}


class Pooled(nn.Module):
    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.network(x)["pooled"]
        return found


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def region(found: Any) -> Tensor:
    """The mean logit of class 1 over the pixels that are predicted to be of it."""
    out = found["out"]
    mask = (out.argmax(1) == 1).float()
    return (out[:, 1] * mask).sum((1, 2)) / mask.sum((1, 2)).clamp_min(1)


def test_an_output_by_its_key(segmenter: Segmenter, images: Tensor) -> None:
    named = attribute(segmenter, images, methods=METHODS, output="pooled", targets=2)
    plain = attribute(Pooled(segmenter), images, methods=METHODS, targets=2)
    for method, found in plain.items():
        assert torch.equal(named[method], found), method


def test_one_of_several_labels_is_its_class(segmenter: Segmenter, images: Tensor) -> None:
    label = lambda found: found["pooled"][:, 2]  # noqa: E731
    maps = attribute(segmenter, images, methods=METHODS, output=label)
    plain = attribute(Pooled(segmenter), images, methods=METHODS, targets=2)
    for method, found in plain.items():
        assert torch.allclose(maps[method], found, atol=1e-6), method


def test_a_number_over_a_mask(segmenter: Segmenter, images: Tensor) -> None:
    maps = attribute(segmenter, images, methods=["grad", {"intgrad": {"steps": 64}}], output=region)
    x = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(region(segmenter(x)).sum(), x)
    assert torch.allclose(maps["grad"], gradient, atol=1e-6)


def test_a_negative_number_is_explained_as_it_is(segmenter: Segmenter, images: Tensor) -> None:
    low = lambda found: found["pooled"][:, 0] - 100  # noqa: E731
    high = lambda found: found["pooled"][:, 0] + 100  # noqa: E731
    maps = [attribute(segmenter, images, methods=["grad"], output=f)["grad"] for f in (low, high)]
    assert torch.allclose(*maps, atol=1e-6)
    assert maps[0].abs().max() > 0


def test_relevance_of_a_number_is_conserved(images: Tensor) -> None:
    torch.manual_seed(0)
    network = Segmenter(bias=False).eval()
    mean = lambda found: found["out"][:, 1].mean((1, 2))  # noqa: E731
    (maps,) = attribute(network, images, methods=["lrp_eps"], output=mean).values()
    expected = mean(network(images))
    assert torch.allclose(maps.sum((1, 2, 3)), expected, rtol=1e-3, atol=1e-5)


def test_the_cascade_of_a_number(segmenter: Segmenter, images: Tensor) -> None:
    label = lambda found: found["pooled"][:, 2]  # noqa: E731
    how: dict[str, Any] = {"methods": ["grad", "gbp"], "pictures": 0}
    number = cascade(segmenter, images, output=label, twins=[segmenter], **how)
    plain = cascade(Pooled(segmenter), images, targets=2, twins=[Pooled(segmenter)], **how)
    assert len(number.stages) == len(plain.stages) == 2
    for (key, own), (_, column) in zip(number.scores, plain.scores, strict=True):
        assert own.values == pytest.approx(column.values, abs=1e-4, nan_ok=True), key


def test_what_is_no_number_for_each_image(segmenter: Segmenter, images: Tensor) -> None:
    how: dict[str, Any] = {"methods": ["grad"]}
    for wrong in (
        lambda found: found["out"].mean(),
        lambda found: found["out"].argmax(1).sum((1, 2)),
        lambda found: found,
    ):
        with pytest.raises(ConfigError, match=r"one number for each image"):
            attribute(segmenter, images, output=wrong, **how)
    with pytest.raises(ConfigError, match="targets="):
        attribute(segmenter, images, output=region, targets=1, **how)
    with pytest.raises(ConfigError, match="pooled"):
        attribute(segmenter, images, output="logits", **how)
    with pytest.raises(UnsupportedModelError, match="batch"):
        attribute(segmenter, images, output=lambda f: f["pooled"][:, 0] - f["pooled"].mean(), **how)
    with pytest.raises(UnsupportedModelError, match="OutputOf"):
        attribute(segmenter, images, **how)
    with pytest.raises(UnsupportedModelError, match="OutputOf"):
        attribute(OutputOf(segmenter, "out"), images, **how)
