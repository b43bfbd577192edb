"""A picture of one's own as signal: blended by its alpha, in its place, as its file says."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explaindebug.bugs.picture_signal import PictureSignal
from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.data import ImageSet


def photographs(side: int = 40, *, channels: int = 3) -> ImageSet:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, side, side, channels), dtype=np.uint8)
    return ImageSet(pixels, np.arange(4) % 2, ("bird", "dog"))


def drawn(path: Path, colours: tuple[int, ...], shape: tuple[int, int] = (10, 10)) -> Path:
    Image.fromarray(np.full((*shape, len(colours)), colours, np.uint8)).save(path)
    return path


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """Red, its left half opaque, its right half with alpha 51, a fifth."""
    pixels = np.zeros((10, 10, 4), np.uint8)
    pixels[..., 0], pixels[:, :5, 3], pixels[:, 5:, 3] = 200, 255, 51
    Image.fromarray(pixels).save(tmp_path / "half.png")
    return tmp_path / "half.png"


def test_alpha_blends_and_opacity_scales_it(half: Path) -> None:
    clean = photographs()
    made = PictureSignal(path=str(half), at="centre", size=0.25, opacity=0.5)(clean, split="test")
    assert (np.flatnonzero(made.signals[0].any(0)) == np.arange(15, 25)).all()
    assert (np.flatnonzero(made.signals[0].any(1)) == np.arange(15, 25)).all()
    red = np.array([200, 0, 0])
    for columns, alpha in ((np.s_[16:18], 128 / 255), (np.s_[22:24], 26 / 255)):
        before = clean.pixels[:, 16:24, columns].astype(float)
        expected = alpha * red + (1 - alpha) * before
        assert np.abs(made.pixels[:, 16:24, columns] - expected).max() <= 0.51


def test_without_alpha_the_rectangle_is_the_signal_and_its_shape_is_kept(tmp_path: Path) -> None:
    path = drawn(tmp_path / "wide.png", (7, 8, 9), (10, 20))
    made = PictureSignal(path=str(path), size=0.5)(photographs(), split="test")
    assert made.signals.sum((1, 2)).tolist() == [20 * 10] * 4
    assert (made.pixels[made.signals] == [7, 8, 9]).all()


@pytest.mark.parametrize(
    ("at", "middle"),
    [
        ("top_left", (4.5, 4.5)),
        ("top_right", (4.5, 34.5)),
        ("bottom_left", (34.5, 4.5)),
        ("bottom_right", (34.5, 34.5)),
        ("centre", (19.5, 19.5)),
    ],
)
def test_it_lies_in_its_place_one_pixel_off_the_frame(tmp_path: Path, at, middle) -> None:
    path = drawn(tmp_path / "tag.png", (0, 0, 0))
    there = PictureSignal(path=str(path), at=at)(photographs(), split="test").signals[0]
    assert there.sum() == 8 * 8
    assert tuple(np.argwhere(there).mean(0)) == middle


def test_everywhere_stretches_a_border(tmp_path: Path) -> None:
    pixels = np.full((20, 20, 4), 255, np.uint8)
    pixels[2:-2, 2:-2, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "border.png")
    made = PictureSignal(path=str(tmp_path / "border.png"), at="everywhere")(photographs())
    there = made.signals[0]
    assert there[:4].all()
    assert there[:, -4:].all()
    assert not there[6:-6, 6:-6].any()


def test_as_large_as_the_photograph_still_lies_on_it(tmp_path: Path) -> None:
    path = drawn(tmp_path / "strip.png", (0, 0, 0), (2, 20))
    there = PictureSignal(path=str(path), size=1)(photographs(), split="test").signals[0]
    assert there.sum() == 40 * 4


def test_a_changed_file_is_another_bug_and_another_training(tmp_path: Path) -> None:
    clean, path = photographs(), tmp_path / "tag.png"
    found = []
    for level in (10, 20):
        drawn(path, (level, level, level))
        bug = PictureSignal(path=str(path))
        found.append((bug, bug(clean).fingerprint(), bug.record(clean).options["sha256"]))
    (one, *first), (other, *second) = found
    assert one != other
    assert not set(first) & set(second)
    drawn(path, (10, 10, 10))
    assert PictureSignal(path=str(path)) == one
    json.dumps(one.record(clean).to_dict())


def test_it_is_read_once(tmp_path: Path) -> None:
    bug = PictureSignal(path=str(drawn(tmp_path / "tag.png", (1, 2, 3))))
    before = bug(photographs()).fingerprint()
    (tmp_path / "tag.png").unlink()
    assert bug(photographs()).fingerprint() == before


def test_on_grey_photographs_colours_become_grey_levels_and_that_is_said(tmp_path: Path) -> None:
    bug = PictureSignal(path=str(drawn(tmp_path / "tag.png", (200, 0, 0))))
    with pytest.warns(DataWarning, match=r"tag.png has colours, but the photographs are grey"):
        made = bug(photographs(channels=1), split="test")
    assert set(made.pixels[made.signals].ravel()) == {60}  # 0.299 x 200


def test_its_name_is_the_file_s_or_the_user_s(tmp_path: Path) -> None:
    path = str(drawn(tmp_path / "hospital.png", (0, 0, 0)))
    assert PictureSignal(path=path).title == "Spurious hospital"
    assert PictureSignal(path=path, called="St Mary's tag").title == "Spurious St Mary's tag"
    assert PictureSignal(path=path).stronger.startswith("a larger size")
    assert PictureSignal(path=path, at="everywhere").stronger == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"at": "middle"}, r"at=middle: no such place"),
        ({"at": "top_lef"}, r"Did you mean 'top_left'"),
        ({"size": 1.5}, r"image.size .* got 1.5"),
        ({"size": 0}, r"image.size .* got 0"),
        ({"opacity": 1.1}, r"image.opacity .* got 1.1"),
        ({"at": "everywhere", "size": 0.5}, r"size=0.5, but a picture that is everywhere"),
        ({"path": 7}, r"path=7"),
    ],
)
def test_impossible_options_are_refused(half: Path, options, said) -> None:
    with pytest.raises(ConfigError, match=said):
        PictureSignal(**{"path": str(half)} | options)


def test_files_that_are_no_signal_are_refused_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.png can't be read as a signal"):
        PictureSignal(path=str(tmp_path / "gone.png"))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text.png can't be read as a signal"):
        PictureSignal(path=str(tmp_path / "text.png"))
    with pytest.raises(DataError, match=r"clear.png is transparent everywhere"):
        PictureSignal(path=str(drawn(tmp_path / "clear.png", (1, 2, 3, 0))))


def test_what_would_hide_the_photograph_or_leave_no_trace_is_refused(tmp_path: Path) -> None:
    path = str(drawn(tmp_path / "tag.png", (1, 2, 3)))
    with pytest.raises(DataError, match=r"tag.png covers the whole photograph"):
        PictureSignal(path=path, at="everywhere")(photographs())
    with pytest.raises(DataError, match=r"tag.png leaves no trace on photographs of 40 x 40"):
        PictureSignal(path=path, opacity=0.001)(photographs())
