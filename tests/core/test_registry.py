"""What has a name is added by one decorator, from anybody's code, and then works as ours does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor, nn

from explaindebug.bugs.initialisers import INITIALISERS
from explaindebug.bugs.reinitialisation import reinitialised
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import Registry
from explaindebug.data.masks import CONVENTIONS, read_mask
from explaindebug.data.scenes import scene_source
from explaindebug.data.synthetic.scenes import SCENES
from explaindebug.data.synthetic.splits import animals
from explaindebug.datamodules import Embedded
from explaindebug.datamodules.normalising import NORMALISATIONS, Normalisation
from explaindebug.evaluation.comparison import Comparison, Reference
from explaindebug.evaluation.nulls import NULLS, Inputs, Null
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.summary import summarise

OPEN = [NULLS, INITIALISERS, CONVENTIONS, NORMALISATIONS, SCENES]


@pytest.fixture(autouse=True)
def _registries_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in OPEN:
        monkeypatch.setattr(one, "_entries", dict(one._entries))


@pytest.mark.parametrize("registry", OPEN, ids=lambda one: one.kind)
class TestUnknown:
    def test_names_the_nearest_and_all(self, registry: Registry[Any]) -> None:
        first = next(iter(registry))
        with pytest.raises(ConfigError) as error:
            registry[first[:-1] + "_"]
        said = str(error.value)
        assert said.startswith(f"unknown {registry.kind} ")
        assert f"Did you mean {first!r}?" in said
        assert all(name in said for name in registry)
        assert registry._also in said

    @pytest.mark.parametrize("name", [None, 3, [], {}, True])
    def test_what_is_no_name_is_refused_alike(self, registry: Registry[Any], name: Any) -> None:
        assert name not in registry
        with pytest.raises(ConfigError, match="unknown"):
            registry[name]

    def test_one_name_is_one_thing(self, registry: Registry[Any]) -> None:
        with pytest.raises(KeyError, match="twice"):
            registry.register(next(iter(registry)))(object())


def test_a_null() -> None:
    def ones(inputs: Inputs) -> Tensor:
        maps = torch.ones_like(inputs.candidate)
        maps[..., 0] = torch.arange(maps.shape[-2]).to(maps)
        return maps

    NULLS.register("ramp")(Null(ones, of_candidate=False))
    scores, key = Scores(), Key("reinit", "grad", "top 1", "bug")
    maps = torch.randn(2, 4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    comparison = Comparison(["ssim"], nulls=["ramp"])
    comparison.score(scores, key, Reference.of_maps(maps[0]), maps[1], range(4))
    assert scores.unique("role") == ["bug", "null: ramp"]
    bug, null = summarise(scores)
    assert bug.null == null.mean
    assert bug.excess == pytest.approx((bug.mean - null.mean) / (1 - null.mean))


def test_an_initialisation() -> None:
    @INITIALISERS.register("sevens")
    def sevens(layer: nn.Module, generator: Generator) -> None:
        for parameter in layer.parameters():
            parameter.fill_(7)

    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with reinitialised(network, ["1"], init="sevens", seed=0):
        assert (network[1].weight == 7).all()
        assert not (network[0].weight == 7).any()


def test_a_mask_convention(tmp_path: Path) -> None:
    @CONVENTIONS.register("dark")
    def dark(levels: Any, border: bool) -> Any:
        return np.less(levels, 9)

    levels = np.full((16, 16), 200, np.uint8)
    levels[:, :4] = 3
    Image.fromarray(levels).save(tmp_path / "mask.png")
    found, _ = read_mask(tmp_path / "mask.png", 16, "dark")
    assert np.array_equal(found, levels == 3)


def test_a_normalisation() -> None:
    NORMALISATIONS.register("halves")(Normalisation((0.5,), (0.5,)))
    test = Embedded(size=16, train=4, val=2, test=2, normalise="halves").clean.test
    assert (test.mean, test.std) == ((0.5,), (0.5,))


def test_a_drawn_scene_which_changes_no_picture_of_ours(tmp_path: Path) -> None:
    before = animals(size=16, train=8, val=1, test=1).train.pixels

    @SCENES.register("fog")
    def fog(rng: Any, size: int) -> Any:
        return np.full((size, size, 3), 0.8, np.float32)

    drawn = scene_source("drawn:fog", tmp_path, "bird")
    assert (drawn(np.arange(2), split="train", size=16, seed=0) == 204).all()
    assert np.array_equal(animals(size=16, train=8, val=1, test=1).train.pixels, before)
