"""A map depends on its image alone, and is the same each time; networks that break that."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions import attribute
from explaindebug.attributions._engine.independence import check_independent
from explaindebug.core.errors import UnsupportedModelError

LIME = {"lime": {"samples": 8, "segmenter": {"grid": {"rows": 2, "columns": 2}}}}


class Net(nn.Module):
    """A layer, something in between, a layer."""

    def __init__(self, between: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.between, self.head = nn.Conv2d(3, 4, 3), between, nn.Linear(400, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.head(F.relu(self.between(x) if self.between else x).flatten(1))


class Between(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Untamed(nn.Dropout):
    """Monte Carlo dropout: never in eval mode."""

    def train(self, mode: bool = True) -> "Untamed":
        return super().train(True)


class Ageing(nn.Module):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


def statistics(module: nn.Module) -> nn.Module:
    """In a place of its own, deeper inside."""
    return nn.Sequential(nn.Identity(), module)


MIXING = {
    "no running statistics": (
        lambda: statistics(nn.BatchNorm2d(4, track_running_stats=False)),
        r"BatchNorm2d in between\.1 mixes",
    ),
    "statistics taken away": (
        lambda: Between(lambda x: F.batch_norm(x, None, None, training=True)),
        "Between in between mixes",
    ),
    "the mean of the batch": (lambda: Between(lambda x: x - x.mean(0)), "Between in between mixes"),
    "the first of the batch": (lambda: Between(lambda x: x + x[:1].mean()), "Between in between"),
}
CHANGING = {
    "dropout by function": (lambda: Between(lambda x: F.dropout(x, 0.5, True)), "Between in bet"),
    "dropout that is never off": (lambda: statistics(Untamed(0.5)), r"Untamed in between\.1"),
    "noise": (lambda: Between(lambda x: x + torch.randn_like(x)), "Between in between"),
    "hardly any noise": (
        lambda: Between(lambda x: x + 1e-6 * torch.randn_like(x)),
        "different outp",
    ),
    "calls that are counted": (Ageing, "Ageing in between"),
}


@pytest.mark.parametrize(("make", "words"), MIXING.values(), ids=MIXING)
def test_a_network_that_mixes_the_images_of_a_batch_is_refused(make, words, images) -> None:
    for method in ("grad", LIME):
        with pytest.raises(UnsupportedModelError, match=rf"{words}.*its own image"):
            attribute(Net(make()), images, targets=0, methods=method)


@pytest.mark.parametrize(("make", "words"), CHANGING.values(), ids=CHANGING)
def test_a_network_that_changes_from_call_to_call_is_refused(make, words, images) -> None:
    for method in ("grad", LIME):
        with pytest.raises(UnsupportedModelError, match=rf"{words}.*each time"):
            attribute(Net(make()), images, targets=0, methods=method)


def test_a_network_that_takes_no_single_image_is_refused(images: Tensor) -> None:
    model = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(432, track_running_stats=False), nn.Linear(432, 2)
    )
    with pytest.raises(UnsupportedModelError, match="takes two images, but not one"):
        attribute(model, images, targets=0, methods="grad")


def test_an_error_of_the_network_itself_is_in_the_sentence(images: Tensor) -> None:
    with pytest.raises(UnsupportedModelError, match="shapes cannot be multiplied"):
        attribute(Net(), images[..., :9], targets=0, methods="grad")


@pytest.mark.parametrize(
    "module",
    [nn.BatchNorm2d(4), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.Dropout(0.5), nn.SiLU()],
    ids=lambda m: type(m).__name__,
)
def test_what_works_on_each_image_is_passed(module: nn.Module, images: Tensor) -> None:
    assert attribute(Net(module), images, targets=0, methods="grad")["grad"].any()


def test_a_batch_norm_in_training_mode_is_explained_in_eval_mode(images: Tensor) -> None:
    assert attribute(Net(nn.BatchNorm2d(4)).train(), images, targets=0, methods="grad")[
        "grad"
    ].any()


class Ordering(nn.Module):
    """Sums in an order that depends on the batch, as fast convolutions do; only rounding differs.

    A large number comes and goes, so that in float32 there is much of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        large = 1e4 if len(x) == 1 else 3e4
        return (x + large - large).mean((2, 3))


def test_rounding_is_no_dependence(images: Tensor) -> None:
    model = Ordering()
    alone, pair = model(images[:1]), model(images[:2])[:1]
    assert (alone - pair).abs().max() > 1e-4 * alone.abs().max()
    check_independent(model, images[:1], alone, drew=False)


def test_a_small_dependence_is_no_rounding(images: Tensor) -> None:
    model = Net(Between(lambda x: x + 1e-3 * x.mean(0)))
    with pytest.raises(UnsupportedModelError, match="mixes"):
        attribute(model, images, targets=0, methods="grad")
