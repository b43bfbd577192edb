"""Regions that maps and activations point to, where the answer is known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import NMF
from torch import nn

from explaindebug.audit.candidates.base import SOURCES, Evidence, Floats, ranked, top
from explaindebug.audit.candidates.clusters import spectral
from explaindebug.audit.candidates.parts import factors, loadings

N, SIDE = 60, 16


def evidence(ranks: Floats, predicted: np.ndarray | None = None) -> Evidence:  # type: ignore[type-arg]
    rows = np.arange(N)
    classes = rows // 2 % 2 if predicted is None else predicted
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
                            nn.Linear(4 * SIDE * SIDE, 2)).eval()  # fmt: skip
    images = torch.rand(N, 1, SIDE, SIDE)
    found, held = rows[::2], rows[1::2]
    names = {0: "none", 1: "one"}
    return Evidence(network, images, classes, ranks, found, held, names, 1 / 16, 5, 0, 32)


def noise(seed: int = 0) -> Floats:
    return np.asarray(np.random.default_rng(seed).uniform(0, 0.5, (N, SIDE, SIDE)))


def test_ranks_are_of_sizes_and_constant_maps_have_no_order() -> None:
    raw = torch.tensor([[[[0.0, -3.0], [2.0, 1.0]]], [[[5.0, 5.0], [5.0, 5.0]]]])
    broken = raw.clone()
    broken[0, 0, 0, 0] = torch.nan
    assert ranked({"a": raw})[0].tolist() == [[0, 1], [2 / 3, 1 / 3]]
    assert ranked({"a": raw})[1].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert ranked({"a": broken})[0].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert ranked({"a": raw, "b": broken})[0, 0, 1] == 0.75


def test_the_top_is_the_largest_not_the_smallest() -> None:
    values = np.zeros((SIDE, SIDE))
    values[:4, :4], values[8:12, 8:12] = 1, -5
    region = top(values, 16)
    assert region is not None
    assert np.argwhere(region).max() < 4
    assert region.sum() == 16
    assert top(np.ones((SIDE, SIDE)), 16) is None


def test_the_region_of_a_class_is_where_its_maps_rank_higher_than_those_of_others() -> None:
    maps = noise()
    data = evidence(maps)
    maps[data.predicted == 1, :4, :4] += 0.5
    maps[data.predicted == 0, -4:, :4] += 0.5
    found = {one.name: one for one in SOURCES["ranks"](data)}
    assert set(found) == {"ranks", "ranks-0", "ranks-1"}
    assert np.argwhere(found["ranks-1"].regions[0, 0].numpy()).max() < 4
    assert np.argwhere(found["ranks-0"].regions[0, 0].numpy())[:, 0].min() >= SIDE - 4
    assert found["ranks-1"].rows.tolist() == [r for r in range(1, N, 2) if r // 2 % 2 == 1]


def test_a_cluster_is_a_part_of_a_class_and_its_region_where_it_differs() -> None:
    maps = noise()
    data = evidence(maps, np.zeros(N, np.int64))
    special = np.arange(N) % 6 < 2  # of both halves a third
    maps[special, :8, :8] += 0.5
    maps[~special, 8:, 8:] += 0.5
    found = SOURCES["clusters"](data)
    mine = [one for one in found if set(one.rows) == set(np.flatnonzero(special)[1::2])]
    assert len(found) == 2
    assert len(mine) == 1
    assert np.argwhere(mine[0].regions[0, 0].numpy()).max() < 8


def test_clusters_of_separate_points_are_found_as_many_as_there_are() -> None:
    rng = np.random.default_rng(0)
    for count in (2, 3):
        truth = np.repeat(np.arange(count), 12)
        points = rng.normal(0, 0.05, (len(truth), 3)) + 5 * truth[:, None]
        labels = spectral(points)
        assert len({(a, b) for a, b in zip(truth, labels, strict=True)}) == count
        assert len(np.unique(labels)) == count
    assert set(spectral(points[:6])) == {0}  # too few to tell


@pytest.mark.parametrize("source", ["ranks", "clusters"])
def test_what_is_held_out_has_no_influence_on_the_regions(source: str) -> None:
    maps = noise()
    data = evidence(maps, np.zeros(N, np.int64) if source == "clusters" else None)
    special = np.arange(N) % 6 < 2
    maps[data.predicted == 1, :4, :4] += 0.5
    maps[special, :8, 8:] += 0.5
    maps[~special, 8:, 8:] += 0.5
    changed = maps.copy()
    changed[data.held] = changed[data.held][:, ::-1, ::-1] if source == "ranks" else 0.4 * changed[
        data.held
    ]  # fmt: skip
    first, second = (SOURCES[source](replace(data, ranks=one)) for one in (maps, changed))
    shared = {one.name for one in first} & {one.name for one in second}
    assert shared
    regions = [{c.name: c.regions[0] for c in found} for found in (first, second)]
    assert all(torch.equal(regions[0][name], regions[1][name]) for name in shared)


def test_factors_reproduce_what_has_few_of_them_as_well_as_a_library_does() -> None:
    rng = torch.Generator().manual_seed(0)
    values = torch.rand(60, 3, generator=rng).double() @ torch.rand(3, 9, generator=rng).double()
    w, h = factors(values, 3)
    ours = (values - w @ h).norm() / values.norm()
    peer = NMF(3, solver="mu", max_iter=200, tol=0, init="random", random_state=0)
    raw = values.numpy()
    rest = np.linalg.norm(raw - peer.fit_transform(raw) @ peer.components_)
    theirs = float(rest / np.linalg.norm(raw))
    assert ours < 1.5 * theirs + 0.02
    assert bool((w >= 0).all() & (h >= 0).all())
    assert h.norm(dim=1) == pytest.approx(torch.ones(3).double())
    again = loadings(values, h)
    assert (values - again @ h).norm() / values.norm() < 0.05


def test_a_part_is_where_its_channels_are_on_in_each_input() -> None:
    """A network that lets pictures through: the part is the bright square, wherever it is."""
    data = evidence(noise())
    images = torch.full((N, 1, SIDE, SIDE), 0.01)
    for k in range(N):
        images[k, 0, k % 12 : k % 12 + 4, 4:8] = 1.0
    identity = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(),
                             nn.Linear(SIDE * SIDE, 2)).eval()  # fmt: skip
    nn.init.ones_(identity[0].weight)  # type: ignore[arg-type]
    found = SOURCES["parts"](replace(data, network=identity, images=images))
    assert found
    for k, row in enumerate(found[0].rows.tolist()):
        assert torch.equal(found[0].regions[k], images[row] > 0.5)


def test_a_network_without_a_feature_map_has_no_parts() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2)).eval()
    assert list(SOURCES["parts"](replace(evidence(noise()), network=dense))) == []


@pytest.mark.parametrize("name", SOURCES.names)
def test_every_source_gives_masks_of_held_out_inputs(name: str) -> None:
    maps = noise()
    maps[np.arange(N) % 6 < 2, :8, :8] += 0.5
    data = evidence(maps)
    source: Callable[..., object] = SOURCES[name]
    found = source(data)
    assert found
    for one in found:  # type: ignore[attr-defined]
        assert set(one.rows) <= set(data.held)
        assert one.regions.shape == (len(one.rows), 1, SIDE, SIDE)
        assert (one.regions.flatten(1).sum(1) == data.pixels).all()
