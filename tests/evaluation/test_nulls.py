import numpy as np
import pytest
import torch
from skimage.filters import sobel_h, sobel_v

from explaindebug.core.errors import ConfigError
from explaindebug.evaluation.nulls import NULLS, Inputs, blocks

ROWS = np.array([12, 4, 9])


def inputs(**changes) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    candidate, images = torch.randn(2, 3, 2, 12, 10, generator=generator)
    return Inputs(candidate, ROWS, images, 0)._replace(**changes)


@pytest.mark.parametrize("name", NULLS)
def test_shaped_like_the_candidate_and_the_same_every_time(name) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    maps = NULLS[name].make(inputs())
    assert maps.shape == (3, 2, 12, 10)
    assert maps.isfinite().all()
    assert torch.equal(maps, NULLS[name].make(inputs()))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["gaussian", "shuffled", "edges"])
def test_made_for_each_input_by_its_row_not_by_its_place(name) -> None:
    whole, some = inputs(), [2, 0]
    part = Inputs(whole.candidate[some], ROWS[some], whole.images[some], 0)
    assert torch.equal(NULLS[name].make(part), NULLS[name].make(whole)[some])


@pytest.mark.parametrize("name", ["gaussian", "shuffled"])
def test_seed_and_row_change_the_draw(name) -> None:
    maps = NULLS[name].make(inputs())
    assert not torch.equal(maps, NULLS[name].make(inputs(seed=1)))
    assert not torch.equal(maps, NULLS[name].make(inputs(rows=ROWS + 1)))


def test_gaussian_is_standard_normal() -> None:
    maps = NULLS["gaussian"].make(inputs(candidate=torch.zeros(3, 3, 100, 100)))
    assert abs(maps.mean()) < 0.02
    assert abs(maps.std() - 1) < 0.02


def test_shuffled_moves_whole_pixels() -> None:
    before, after = inputs().candidate, NULLS["shuffled"].make(inputs())

    def pixels(maps: torch.Tensor) -> list[list[list[float]]]:
        return [sorted(one.flatten(1).T.tolist()) for one in maps]

    assert pixels(before) == pixels(after)
    assert not torch.equal(before, after)


def test_other_is_the_map_of_the_next_row_however_inputs_are_ordered() -> None:
    candidate = inputs().candidate
    maps = NULLS["other"].make(inputs())
    assert torch.equal(maps, candidate[[1, 2, 0]])  # rows 12 -> 4, 4 -> 9, 9 -> 12


def test_a_single_input_has_no_other() -> None:
    alone = inputs(candidate=torch.zeros(1, 2, 12, 10), rows=ROWS[:1])
    assert NULLS["other"].make(alone).isnan().all()


def test_edges_are_sobels() -> None:
    given = inputs()
    maps = NULLS["edges"].make(given)
    image = given.images[1, 0].double().numpy()
    expected = np.hypot(sobel_h(image), sobel_v(image))[1:-1, 1:-1] * 4  # scikit-image divides by 4
    np.testing.assert_allclose(maps[1, 0, 1:-1, 1:-1], expected, rtol=1e-5)


def test_edges_need_the_images() -> None:
    with pytest.raises(ConfigError, match="made from the images"):
        NULLS["edges"].make(inputs(images=None))


def test_an_unknown_null_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'shuffled'"):
        NULLS["shufled"]


@pytest.mark.parametrize("n", [1, 2, 5, 7])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_blocks_cover_the_inputs_and_end_with_the_next_one(n: int, count: int) -> None:
    rows = np.random.default_rng(n).permutation(n) * 3
    found = blocks(rows, count)
    mine = [rows[part].tolist() for part, _ in found]
    assert [x for part in mine for x in part] == sorted(rows.tolist())
    after = {x: (sorted(rows.tolist()) * 2)[i + 1] for i, x in enumerate(sorted(rows.tolist()))}
    for part, (_, more) in zip(mine, found, strict=True):
        if part and count > 1 and n > 1:
            assert rows[more].tolist() == [after[part[-1]]]
        else:
            assert not len(more)
