"""Whether a gradient comes back to the image is found out before anything is computed."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from explaindebug.attributions import Plan, attribute
from explaindebug.cascade import cascade
from explaindebug.core.errors import UnsupportedModelError

LIME = {"lime": {"samples": 8, "segmenter": {"grid": {"rows": 2, "columns": 2}}}}


class Saving(nn.Module):
    """Recomputes a layer on the way back; without, it is the same network."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.conv = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.head, self.reentrant = nn.Linear(256, 3), reentrant

    def inner(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(x).relu(), 3, 1, 1) * 2

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.reentrant is None:
            return self.head(self.inner(x).flatten(1))
        x = checkpoint(self.inner, x, use_reentrant=self.reentrant)
        return self.head(x.flatten(1))


def dense(**how: bool) -> nn.Module:
    torch.manual_seed(0)
    return tv.DenseNet(4, (2,), 8, bn_size=2, num_classes=3, **how).eval()


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_reentrant_checkpoint_is_refused_by_all_that_need_a_gradient(images: Tensor) -> None:
    methods = ["grad", "sgrad", "intgrad", "gbp", "lrp_eps"]
    refusals = Plan([*methods, LIME]).refusals(Saving(True).requires_grad_(False), images)
    assert list(refusals) == methods
    for error in refusals.values():
        assert "use_reentrant=False" in str(error)
    assert attribute(Saving(True), images, targets=0, methods=LIME)["lime"].any()


def test_a_checkpoint_without_reentrance_has_its_gradient(images: Tensor) -> None:
    found, expected = (
        attribute(Saving(how), images, targets=0, methods="grad")["grad"] for how in (False, None)
    )
    torch.testing.assert_close(found, expected)


def test_a_checkpointed_network_is_refused_or_has_the_right_map(images: Tensor) -> None:
    saving, plain = dense(memory_efficient=True), dense()
    picture = F.interpolate(images[:2], 32)
    torch.testing.assert_close(
        attribute(saving, picture, targets=0, methods="grad")["grad"],
        attribute(plain, picture, targets=0, methods="grad")["grad"],
    )
    with pytest.raises(UnsupportedModelError, match=r"checkpoint.*memory_efficient=False"):
        attribute(saving, picture, targets=0, methods="gbp")
    # LRP keeps all that it needs: nothing is computed again.
    torch.testing.assert_close(
        attribute(saving, picture, targets=0, methods="lrp_eps"),
        attribute(plain, picture, targets=0, methods="lrp_eps"),
    )


def test_a_cascade_of_a_checkpointed_network_is_that_of_the_plain_one(images: Tensor) -> None:
    found, expected = (
        {str(key): torch.from_numpy(column.values) for key, column in cascaded.scores}
        for how in (False, None)
        for cascaded in [cascade(Saving(how), images[:2], methods=["grad"], workers=1)]
    )
    assert found.keys() == expected.keys()
    for key, values in found.items():
        torch.testing.assert_close(values, expected[key], rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.filterwarnings("ignore")  # torch's own, about quantisation and about the way back
def test_quantised_layers_let_no_gradient_through(images: Tensor) -> None:
    """Nor does an image keep its logits in company: the scale of the integers is the batch's."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))
    quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, torch.qint8)
    for method in ("grad", "sgrad", "gbp"):
        with pytest.raises(UnsupportedModelError, match=r"no gradient leads|mixes the images"):
            attribute(quantised, images, targets=0, methods=method)


def test_an_operation_whose_backward_fails_is_told_before_anything_is_computed(
    images: Tensor,
) -> None:
    class OneWay(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise NotImplementedError("no way back")

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return OneWay.apply(x).mean((2, 3))

    with pytest.raises(UnsupportedModelError, match="NotImplementedError: no way back"):
        attribute(Net(), images, targets=0, methods="intgrad")
