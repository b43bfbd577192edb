"""LIME and KernelSHAP on networks: exact, shared, and the same whatever surrounds an input."""

from itertools import product
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explaindebug.attributions import ATTRIBUTIONS, attribute
from explaindebug.attributions._support.coalitions import RidgeDesign
from explaindebug.attributions._support.perturbation import Perturbed, off_images
from explaindebug.attributions._support.superpixels import Grid, Slic, superpixels
from explaindebug.attributions.lime_shap import KernelShap, Lime, Surrogate
from explaindebug.core.errors import AttributionError, ConfigError, MapWarning


class Net(nn.Module):
    """A small network that counts the images that pass, and notes the largest batch."""

    def __init__(self, outputs: int = 3, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.dense = nn.Conv2d(channels, 8, 3), nn.Linear(8 * 16, outputs)
        self.images, self.largest = 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.images += len(x)
        self.largest = max(self.largest, len(x))
        x = nn.functional.adaptive_max_pool2d(self.conv(3 * x).relu(), 4)
        return self.dense(x.flatten(1))  # type: ignore[no-any-return]


@pytest.fixture
def net() -> Net:
    return Net().double().eval().requires_grad_(False)


def blobs(n: int = 3, c: int = 3, seed: int = 0) -> Tensor:
    coarse = torch.randn(n, c, 6, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=20, mode="bicubic").double()


TARGETS = torch.tensor([0, 2, 1])


def value(net: Net, on: Tensor, off: Tensor, keep: Tensor, target: int) -> float:
    """The logit with some pixels kept, computed alone."""
    return float(net(torch.where(keep, on, off)[None])[0, target])


def shapley_map(net: Net, on: Tensor, off: Tensor, labels: Tensor, target: int) -> Tensor:
    """Shapley values of the superpixels, painted (h, w), by definition."""
    m = int(labels.max()) + 1
    z = list(product([False, True], repeat=m))
    values = {s: value(net, on, off, torch.tensor(s)[labels], target) for s in z}
    phi = torch.zeros(m, dtype=torch.float64)
    for s, i in ((s, i) for s in z for i in range(m) if not s[i]):
        weight = factorial(sum(s)) * factorial(m - sum(s) - 1) / factorial(m)
        phi[i] += weight * (values[(*s[:i], True, *s[i + 1 :])] - values[s])
    return phi[labels]


@pytest.mark.parametrize("off", ["mean", "zeros", 0.5])
@pytest.mark.parametrize("segmenter", [Grid(2, 3), Slic(6, adaptive=True)])
def test_kernelshap_gives_the_shapley_values(net: Net, off: Any, segmenter: Any) -> None:
    x = blobs()
    labels = superpixels(x, segmenter)
    assert labels.max() < 8
    maps = KernelShap(samples=254, segmenter=segmenter, off=off)(net, x, TARGETS)
    removed = off_images(off, x, labels)
    for i in range(3):
        exact = shapley_map(net, x[i], removed[i], labels[i], int(TARGETS[i]))
        assert torch.allclose(maps[i], exact.expand(3, -1, -1), atol=1e-6)


@pytest.mark.parametrize("off", ["mean", "zeros", -1.0, (0.1, 0.2, 0.3)])
def test_kernelshap_weights_sum_to_the_drop_of_the_logit(off: Any) -> None:
    net, x = Net().eval().requires_grad_(False), blobs().float()  # float32, 36 superpixels
    weights, labels = KernelShap(samples=300, off=off).passes.run(net, x, TARGETS)
    assert labels.max() > 20
    drop = (net(x) - net(off_images(off, x, labels))).gather(1, TARGETS[:, None])[:, 0]
    assert torch.allclose(weights.sum(1), drop.double(), atol=1e-5)


def test_lime_is_scikit_learns_ridge_on_the_same_perturbations(net: Net) -> None:
    ridge = pytest.importorskip("sklearn.linear_model").Ridge(alpha=1.0)
    x, grid = blobs(1), Grid(3, 4)
    labels = superpixels(x, grid)
    z = RidgeDesign(100, kernel_width=0.25, alpha=1.0, seed=7)(12).coalitions
    off = off_images("mean", x, labels)[0]
    y = [value(net, x[0], off, torch.from_numpy(row)[labels[0]], 2) for row in z]
    weights = np.exp(-0.5 * ((1 - np.sqrt(z.mean(1))) / 0.25) ** 2)
    expected = torch.from_numpy(ridge.fit(z, y, sample_weight=weights).coef_)[labels[0]]
    maps = Lime(samples=100, segmenter=grid, seed=7)(net, x, torch.tensor([2]))
    assert torch.allclose(maps[0], expected.expand(3, -1, -1), atol=1e-9)


def test_lime_agrees_with_captum_on_the_same_perturbations(net: Net) -> None:
    pytest.importorskip("sklearn")
    from captum._utils.models.linear_model import SkLearnLinearModel
    from captum.attr import LimeBase

    x, grid = blobs(1), Grid(3, 4)
    labels = superpixels(x, grid)
    z = RidgeDesign(100, kernel_width=0.25, alpha=1.0, seed=0)(12).coalitions

    def perturbations(original: Tensor, **_: Any) -> Any:
        yield from torch.from_numpy(z).double()[:, None]

    def closeness(original: Tensor, perturbed: Tensor, row: Tensor, **_: Any) -> Tensor:
        return torch.exp(-0.5 * ((1 - row.mean().sqrt()) / 0.25) ** 2)

    def image(row: Tensor, original: Tensor, **_: Any) -> Tensor:
        return original * row[0][labels]

    captum = LimeBase(
        net,
        SkLearnLinearModel("linear_model.Ridge", alpha=1.0),
        closeness,
        perturbations,
        True,
        image,
        None,
    )
    theirs = captum.attribute(x, target=1, n_samples=100, perturbations_per_eval=10)
    passes = Lime(samples=100, segmenter=grid, off="zeros").passes
    ours = passes.run(net, x, torch.tensor([1])).values
    assert torch.allclose(ours.float(), theirs.reshape(1, -1), atol=1e-4)


def test_kernelshap_agrees_with_captum(net: Net) -> None:
    pytest.importorskip("sklearn")
    import captum.attr

    x, grid = blobs(1), Grid(2, 2)
    labels = superpixels(x, grid)
    torch.manual_seed(0)
    theirs = captum.attr.KernelShap(net).attribute(
        x.float().double(),
        target=1,
        feature_mask=labels[:, None],
        n_samples=2000,
        perturbations_per_eval=100,
    )
    ours = KernelShap(samples=14, segmenter=grid, off="zeros")(net, x, torch.tensor([1]))
    assert torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), 0) > 0.999


@pytest.mark.parametrize("method", [Lime(samples=60), KernelShap(samples=200)])
def test_neighbours_and_batch_size_change_nothing(net: Net, method: Surrogate) -> None:
    x = blobs()
    maps = method(net, x, TARGETS)
    assert torch.equal(maps, method(net, x, TARGETS))
    alone = torch.cat([method(net, x[i : i + 1], TARGETS[i : i + 1]) for i in range(3)])
    turned = method(net, x.flip(0), TARGETS.flip(0)).flip(0)
    for other in (alone, turned):
        assert torch.allclose(maps, other, atol=1e-10)
    for batch in (1, 7, 500):
        net.largest = 0
        result = method.passes.run(net, x, TARGETS, batch)
        assert torch.allclose(method.reduce(x, result), maps, atol=1e-10)
        assert net.largest <= batch


@pytest.mark.parametrize("method", [Lime(samples=60), KernelShap(samples=200)])
def test_the_seed_decides_what_is_drawn(net: Net, method: Surrogate) -> None:
    other = type(method)(samples=method.samples, seed=1)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert not torch.allclose(method(net, blobs(), TARGETS), other(net, blobs(), TARGETS))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("method", [Lime(samples=60), KernelShap(samples=200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_superpixel_has_one_weight_in_all_channels(method: Surrogate, channels: int) -> None:
    net, x = Net(channels=channels).eval(), blobs(c=channels).float()
    maps = method(net, x, TARGETS)
    assert (maps.shape, maps.dtype, maps.requires_grad) == (x.shape, x.dtype, False)
    weights, labels = method.passes.run(net, x, TARGETS)
    for i in range(3):
        assert torch.allclose(maps[i], weights[i][labels[i]].float().expand_as(maps[i]))
        assert weights[i].unique().numel() > 20


def test_both_share_superpixels_and_perturbed_images(net: Net) -> None:
    calls = []

    def stripes(picture: np.ndarray) -> np.ndarray:
        calls.append(1)
        return np.arange(20)[:, None] // 5 + np.zeros((1, 20), int)

    x = blobs(2, seed=9)
    methods = [Lime(100, stripes), KernelShap(100, stripes), KernelShap(100, stripes, "zeros")]
    apart = [method.passes.run(net, x, TARGETS[:2]).values for method in methods]
    net.images = 0
    together = Perturbed.run_together([m.passes for m in methods], net, x, TARGETS[:2])
    assert len(calls) == 2  # one per image
    assert net.images == 2 * (16 + 16)  # every coalition of four once, for each of two `off`
    for one, other in zip(apart, together, strict=True):
        assert torch.allclose(one, other.values, atol=1e-10)


def test_a_perturbed_image_keeps_the_memory_layout() -> None:
    seen = []

    class Look(Net):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return super().forward(x)

    net, x = Look().double().eval(), blobs()
    plain = Lime(samples=20)(net, x, TARGETS)
    assert not any(seen)
    seen.clear()
    last = Lime(samples=20)(net, x.contiguous(memory_format=torch.channels_last), TARGETS)
    assert all(seen)
    assert torch.allclose(plain, last, atol=1e-10)


def test_one_logit_is_explained_for_its_class_and_as_a_probability() -> None:
    net, x, method = Net(outputs=1).double().eval(), blobs(), KernelShap(samples=100)
    zero, one = method(net, x, torch.zeros(3).long()), method(net, x, torch.ones(3).long())
    assert torch.allclose(zero, -one, atol=1e-10)
    chance = KernelShap(samples=100, off="zeros", output="probability")
    weights, _ = chance.passes.run(net, x, torch.zeros(3).long())
    drop = net(torch.zeros_like(x)).sigmoid() - net(x).sigmoid()
    assert torch.allclose(weights.sum(1), drop[:, 0], atol=1e-10)


def test_probabilities_of_several_classes_are_softmax(net: Net) -> None:
    x, method = blobs(), KernelShap(samples=100, off="zeros", output="probability")
    weights, _ = method.passes.run(net, x, TARGETS)
    drop = (net(x).softmax(1) - net(torch.zeros_like(x)).softmax(1)).gather(1, TARGETS[:, None])
    assert torch.allclose(weights.sum(1), drop[:, 0], atol=1e-10)


def test_superpixels_that_are_off_have_the_colour_asked_for() -> None:
    x = blobs()
    labels = superpixels(x, Grid(4, 4))
    mean = off_images("mean", x, labels)
    blocks = nn.functional.avg_pool2d(x, 5)
    assert torch.allclose(mean, nn.functional.interpolate(blocks, scale_factor=5), atol=1e-12)
    assert torch.equal(off_images("zeros", x, labels), torch.zeros_like(x))
    colours = off_images((1.0, 2.0, 3.0), x, labels)
    assert colours[:, 1].unique().tolist() == [2.0]


def test_the_training_mean_comes_from_the_references(net: Net) -> None:
    references = blobs(8, seed=3)
    method = Lime(samples=30, off="training_mean")
    with pytest.raises(ConfigError, match=r"training_mean.*references"):
        method(net, blobs(), TARGETS)
    ready = method.prepare(net, references)
    assert ready == Lime(samples=30, off=references.mean((0, 2, 3)).tolist())
    assert torch.isfinite(ready(net, blobs(), TARGETS)).all()
    with pytest.raises(ConfigError, match="off has 3 channels, but the images have 1"):
        ready(Net(channels=1).double(), blobs(c=1), TARGETS)


def test_a_score_that_is_not_a_number_spoils_its_own_map_only(net: Net) -> None:
    class Broken(Net):
        def forward(self, x: Tensor) -> Tensor:
            bright = x.amax((1, 2, 3)) > 50
            return super().forward(x).masked_fill(bright[:, None], torch.nan)

    x = blobs()
    x[1] += 100
    maps = Lime(samples=30)(Broken().double().eval(), x, TARGETS)
    assert torch.isfinite(maps).flatten(1).all(1).tolist() == [True, False, True]
    assert maps[1].isnan().all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"samples": 1}, r"samples .*got 1"),
        ({"samples": -5}, r"samples .*got -5"),
        ({"off": "black"}, "unknown off 'black'"),
        ({"output": "softmax"}, "unknown output 'softmax'"),
        ({"segmenter": "watershed"}, "watershed"),
        ({"segmenter": 3}, "unknown segmenter 3"),
        ({"kernel_width": 0.0}, r"kernel_width=0\.0"),
        ({"alpha": -1.0}, r"alpha=-1\.0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Lime(**options)


def test_an_option_that_yaml_has_turned_into_false_is_told_how_to_be_written() -> None:
    with pytest.raises(ConfigError, match=r"no option False\. YAML reads .* quotes"):
        ATTRIBUTIONS.build({"lime": {False: "mean"}})


@pytest.mark.parametrize("name", ["lime", "kernelshap"])
def test_superpixels_of_one_pixel_have_no_mean_colour_to_take(name: str) -> None:
    net, images = Net().eval(), blobs().float()[:, :, :8, :8]  # fifty superpixels asked for
    with pytest.raises(AttributionError, match=r"input 0 .*8 x 8 px.*off=zeros"):
        attribute(net, images, targets=TARGETS, methods={name: {"samples": 300}})
    zeros, larger = {"off": "zeros"}, {"segmenter": {"grid": {"rows": 4, "columns": 4}}}
    for options in (zeros, larger):
        assert attribute(net, images, targets=TARGETS, methods={name: options | {"samples": 300}})[
            name
        ].any()


@pytest.mark.parametrize("name", ["lime", "kernelshap"])
def test_a_picture_of_one_colour_has_a_map_of_exact_zeros_and_is_named(name: str) -> None:
    images = blobs().float()
    images[1] = 0.3
    spec = {name: {"samples": 60, "segmenter": {"grid": {"rows": 3, "columns": 3}}}}
    with pytest.warns(MapWarning, match=rf"{name}: 1 of 3 maps are zero .*\(inputs 1\)"):
        maps = attribute(Net().eval(), images, targets=TARGETS, methods=spec)[name]
    assert not maps[1].any()
    assert maps[[0, 2]].flatten(1).any(1).all()


def test_one_superpixel_and_a_wrong_class_are_refused(net: Net) -> None:
    with pytest.raises(AttributionError, match="single superpixel"):
        Lime(segmenter={"grid": {"rows": 1, "columns": 1}})(net, blobs(), TARGETS)
    with pytest.raises(ConfigError, match="target class 3"):
        Lime(samples=10)(net, blobs(), TARGETS + 1)
