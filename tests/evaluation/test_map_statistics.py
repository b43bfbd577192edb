"""Statistics of maps: closed forms, what leaves them as they are, and maps that have none."""

import math

import numpy as np
import pytest
import torch

from explaindebug.evaluation.map_statistics import STATISTICS, map_statistics


def of(raw: torch.Tensor) -> dict[str, float]:
    return {name: float(values[0]) for name, values in map_statistics(raw[None, None]).items()}


def test_a_map_that_is_the_same_everywhere_and_one_of_a_single_pixel() -> None:
    even = of(torch.full((6, 8), -0.5))
    assert even == pytest.approx({"entropy": 1, "gini": 0, "zeros": 0, "norm": 0.5 * 48**0.5})
    spike = torch.zeros(6, 8)
    spike[2, 3] = -3
    assert of(spike) == pytest.approx({"entropy": 0, "gini": 47 / 48, "zeros": 47 / 48, "norm": 3})


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_map_with_equal_values_on_a_share_of_the_pixels(share: float) -> None:
    raw = torch.zeros(400)
    raw[: int(share * 400)] = 2.0
    expected = {
        "entropy": math.log(share * 400) / math.log(400),
        "gini": 1 - share,
        "zeros": 1 - share,
        "norm": 2 * (share * 400) ** 0.5,
    }
    assert of(raw.view(20, 20)) == pytest.approx(expected)


def test_gini_is_the_mean_difference_and_that_of_an_exponential_is_a_half() -> None:
    x = np.random.default_rng(0).exponential(size=300)
    by_definition = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert of(torch.from_numpy(x).view(15, 20))["gini"] == pytest.approx(by_definition)
    many = torch.empty(300, 300).exponential_(generator=torch.Generator().manual_seed(0))
    assert of(many)["gini"] == pytest.approx(0.5, abs=0.01)


def test_only_the_norm_feels_a_scale_and_none_the_sign_or_the_order_of_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(5, 3, 9, 7, generator=generator)
    before, scaled = map_statistics(raw), map_statistics(raw * -1e-4)
    moved = raw.flatten(2)[..., torch.randperm(63, generator=generator)].view_as(raw)
    for name, values in before.items():
        expected = values * 1e-4 if name == "norm" else values
        assert torch.allclose(scaled[name], expected, rtol=1e-5), name
        assert torch.allclose(map_statistics(moved)[name], values), name


def test_each_map_by_itself() -> None:
    raw = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    together = map_statistics(raw)
    for i in range(4):
        alone = map_statistics(raw[i : i + 1])
        assert {k: v.item() for k, v in alone.items()} == {
            k: v[i].item() for k, v in together.items()
        }


def test_what_a_map_of_zeros_or_a_broken_one_does_not_have_is_nan() -> None:
    raw = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    raw[0] = 0
    raw[1, 0, 2, 2] = torch.inf
    found = map_statistics(raw)
    assert found.keys() == STATISTICS.keys()
    assert {k: bool(v[0].isnan()) for k, v in found.items()} == {
        "entropy": True,
        "gini": True,
        "zeros": False,
        "norm": False,
    }
    assert found["zeros"][0] == 1
    for values in found.values():
        assert values[1].isnan()
        assert values[2].isfinite()
