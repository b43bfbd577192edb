import math

import numpy as np
import pytest
import torch
from scipy import stats

from explaindebug.evaluation.map_complexity import entropy, rise


def test_by_hand():
    # channels sum to 0 0 0 1 | 4 4 4 4: shares 3/8, 1/8, 4/8 in three of four bins
    one = torch.tensor(
        [[[0.0, 0.0, -1.0, 1.0], [1.0, 1.0, 1.0, 1.0]], [[0, 0, 1, 0], [3, 3, 3, 3]]]
    )
    expected = -(3 / 8 * math.log(3 / 8) + 1 / 8 * math.log(1 / 8) + 1 / 2 * math.log(1 / 2))
    assert entropy(one[None], bins=4).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bins", [2, 10, 100])
def test_it_is_the_entropy_of_numpys_histogram(bins):
    maps = torch.randn(5, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    summed = maps.double().sum(1).flatten(1).numpy()
    expected = [stats.entropy(np.histogram(one, bins=bins)[0]) for one in summed]
    np.testing.assert_allclose(entropy(maps, bins), expected, atol=1e-12)


def test_neither_scale_nor_offset_matters():
    maps = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    torch.testing.assert_close(entropy(4 * maps - 2), entropy(maps))


def test_a_constant_map_has_none_and_a_broken_one_has_no_number():
    maps = torch.ones(2, 1, 4, 4)
    maps[1, 0, 0, 0] = torch.nan
    found = entropy(maps)
    assert found[0] == 0
    assert found[1].isnan()


def test_every_part_as_full_is_the_most_there_is():
    maps = torch.linspace(0, 1, 800).view(1, 1, 20, 40)
    assert entropy(maps, bins=100).item() == pytest.approx(math.log(100))


def test_the_rise_is_relative_to_the_trained_networks():
    first, now = torch.tensor([2.0, 4.0, 0.0]), torch.tensor([3.0, 1.0, 1.0])
    found = rise(first, now)
    assert found[:2].tolist() == [0.5, -0.75]
    assert found[2].isnan()


def test_noise_is_more_complex_than_a_few_peaks():
    generator = torch.Generator().manual_seed(0)
    peaks = torch.zeros(1, 1, 32, 32)
    peaks[0, 0, 3, 4], peaks[0, 0, 20, 9] = 1.0, -0.5
    noise = torch.randn(1, 1, 32, 32, generator=generator)
    assert rise(entropy(peaks), entropy(noise)).item() > 5
