"""Interventions on regions: what changes, what stays, and what the control's region is."""

import pytest
import torch
from torch import Tensor

from explaindebug.bugs.interventions import FILLS, elsewhere, removed
from explaindebug.core.errors import ConfigError, DataError


def picture(n: int = 3, side: int = 24) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def box(n: int = 3, side: int = 24, top: int = 4, size: int = 8) -> Tensor:
    region = torch.zeros(n, 1, side, side, dtype=torch.bool)
    region[:, :, top : top + size, 2 : 2 + size] = True
    return region


@pytest.mark.parametrize("fill", list(FILLS))
def test_only_the_region_changes(fill: str) -> None:
    images, region = picture(), box()
    before = images.clone()
    after = removed(images, region, fill)
    outside = ~region.expand_as(images)
    assert torch.equal(after[outside], images[outside])
    assert (after != images)[~outside].float().mean() > 0.9
    assert torch.equal(images, before)


@pytest.mark.parametrize("fill", ["mean", "inpaint", "blur"])
def test_a_flat_picture_stays_as_it_is(fill: str) -> None:
    flat = torch.full((2, 3, 20, 20), 0.3)
    assert removed(flat, box(2, 20), fill).sub(0.3).abs().max() < 1e-5


def test_the_mean_is_that_of_the_outside() -> None:
    images, region = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    region[..., :2, :2] = True
    images[region], images[..., 3, 3] = 100.0, 12.0
    assert removed(images, region, "mean")[..., 0, 0].item() == pytest.approx(1.0)


def test_inpainting_continues_what_is_around_and_never_sees_the_inside() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32).clone()
    region = box(1, 32, 10, 10)
    filled = removed(ramp, region)
    assert (filled - ramp).abs().max() < 0.12
    spoilt = torch.where(region, torch.tensor(1e3), ramp)
    assert torch.allclose(removed(spoilt, region), filled)


def test_swapping_takes_the_same_pixels_of_the_next_image() -> None:
    images, region = picture(), box()
    after = removed(images, region, "swap")
    inside = region.expand_as(images)
    assert torch.equal(after[inside], images.roll(-1, 0)[inside])


def test_the_control_has_the_same_size_and_no_overlap_where_there_is_room() -> None:
    region = box()
    other = elsewhere(region)
    assert torch.equal(region.sum((1, 2, 3)), other.sum((1, 2, 3)))
    assert not (region & other).any()
    assert torch.equal(other, elsewhere(region))
    assert not torch.equal(other, elsewhere(region, seed=1))


def test_a_large_region_overlaps_as_little_as_it_can() -> None:
    region = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    region[..., :12] = True  # three quarters: any shift overlaps by half of the picture
    overlap = (region & elsewhere(region)).float().mean().item()
    assert overlap == pytest.approx(0.5)


def test_what_is_no_region_is_refused() -> None:
    with pytest.raises(DataError, match=r"torch\.bool"):
        removed(picture(), box().float())
    with pytest.raises(DataError, match=r"torch\.bool"):
        removed(picture(), box(2))
    with pytest.raises(ConfigError, match="inpaint"):
        removed(picture(), box(), "inpaiint")
