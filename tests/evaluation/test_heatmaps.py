import numpy as np
import pytest
import torch

from explaindebug.evaluation.heatmaps import display
from explaindebug.report.maps.colour import NOT_A_NUMBER, colour, is_signed, overlay


def raw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_display_is_the_channel_sum_over_its_99th_percentile() -> None:
    maps = raw(5, 3, 20, 24)
    shown = display(maps)
    for one, got in zip(maps.numpy(), shown, strict=True):
        summed = one.sum(0)
        expected = (summed / np.percentile(np.abs(summed), 99)).clip(-1, 1)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert shown.dtype == np.float32
    assert shown.shape == (5, 20, 24)


def test_zero_and_signs_stay_and_the_whole_range_is_used() -> None:
    shown = display(torch.tensor([[[[-4.0, 0.0, 4.0, 2.0]]]]), percentile=100)
    assert shown.ravel().tolist() == [-1, 0, 1, 0.5]


def test_scale_does_not_matter_and_neighbours_neither() -> None:
    maps = raw(4, 3, 16, 16)
    np.testing.assert_allclose(display(maps * 1e-12), display(maps), rtol=1e-5)
    np.testing.assert_array_equal(display(maps)[2:3], display(maps[2:3]))


def test_a_map_with_few_pixels_still_shows_them() -> None:
    maps = torch.zeros(1, 1, 30, 30)
    maps[0, 0, 3, 4] = -2.0
    assert display(maps)[0, 3, 4] == -1
    assert np.count_nonzero(display(maps)) == 1


def test_empty_maps_are_zero_and_no_maps_are_none() -> None:
    assert not display(torch.zeros(2, 3, 8, 8)).any()
    assert display(torch.zeros(0, 3, 8, 8)).shape == (0, 8, 8)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_pixels_that_are_no_numbers_stay_so_and_spoil_no_others(bad) -> None:
    maps = raw(1, 1, 16, 16)
    spoilt = maps.clone()
    spoilt[0, 0, 2, 3] = bad
    shown = display(spoilt)[0]
    assert np.isnan(shown[2, 3])
    assert np.isnan(shown).sum() == 1
    assert np.abs(shown - display(maps)[0])[~np.isnan(shown)].max() < 0.1


def test_colours_of_signed_maps() -> None:
    red, white, blue, nan = colour(np.array([[[0.5, 0, -0.5, np.nan]]]))[0, 0]
    assert red[0] > 1.5 * red[2]
    assert blue[2] > 1.5 * blue[0]
    assert white.tolist() == [255, 255, 255]
    assert tuple(nan) == NOT_A_NUMBER


def test_unsigned_maps_use_the_other_scale_unless_told() -> None:
    maps = np.linspace(0, 1, 12).reshape(1, 3, 4)
    assert not is_signed(maps)
    assert (colour(maps) != colour(maps, signed=True)).any()
    np.testing.assert_array_equal(colour(maps), colour(maps, signed=False))


def test_values_outside_are_clipped() -> None:
    np.testing.assert_array_equal(colour(np.array([[-7.0, 7.0]])), colour(np.array([[-1.0, 1.0]])))


def test_an_overlay_shows_the_picture_where_the_map_is_zero_and_the_map_where_it_is_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3), dtype=np.uint8)
    maps = np.array([[[0, 1], [-1, np.nan]]])
    over = overlay(images, maps)
    assert np.ptp(over[0, 0, 0]) <= 1  # grey
    np.testing.assert_array_equal(over[0, 0, 1], colour(maps)[0, 0, 1])
    np.testing.assert_array_equal(over[0, 1, 0], colour(maps)[0, 1, 0])
    assert tuple(over[0, 1, 1]) == NOT_A_NUMBER
