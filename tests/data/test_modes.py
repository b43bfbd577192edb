"""Every mode of Pillow: the same picture and the same mask from each, or a refusal."""

from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps

from explaindebug.core.errors import DataError
from explaindebug.data.image_files import ORIENTATION, read_picture, turned, unturned
from explaindebug.data.masks import read_mask

SIDE = 32
RAMP = np.tile(np.linspace(0, 255, SIDE), (SIDE, 1)).astype(np.uint8)
OBJECT = np.zeros((SIDE, SIDE), bool)
OBJECT[6:20, 5:25] = True
WHITE = np.where(OBJECT, 255, 0).astype(np.uint8)


def in_mode(mode: str) -> Image.Image:
    return Image.fromarray(RAMP).convert("RGB").convert(mode)


PILLOW_13 = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13,
    reason="Pillow 12 takes its own TIFF files of this mode for truncated",
)


@pytest.mark.parametrize(
    ("picture", "suffix"),
    [
        *((in_mode(mode), "png") for mode in ("L", "LA", "RGB", "RGBA")),
        *((in_mode(mode), "tif") for mode in ("LA", "RGBX", "CMYK")),
        pytest.param(in_mode("YCbCr"), "tif", marks=PILLOW_13),
        (in_mode("CMYK"), "jpg"),
        (Image.fromarray(RAMP).convert("P"), "png"),
        (Image.fromarray((RAMP / 255).astype(np.float32)), "tif"),
        (Image.fromarray(RAMP.astype(np.uint16) * 257), "png"),
        (Image.fromarray(RAMP.astype(np.uint16) * 256), "tif"),
        (Image.fromarray((RAMP.astype(np.uint16) * 257).astype(">u2")), "tif"),
        (Image.fromarray(RAMP.astype(np.int32) * 257), "tif"),
    ],
    ids=lambda x: getattr(x, "mode", x),
)
def test_a_ramp_is_the_same_ramp_in_all_modes(
    tmp_path: Path, picture: Image.Image, suffix: str
) -> None:
    picture.save(tmp_path / f"x.{suffix}")
    found, frame = read_picture(tmp_path / f"x.{suffix}", SIDE)
    assert np.abs(found.astype(int) - RAMP[..., None]).mean() < 0.5
    assert bool(frame.notes) == picture.mode.startswith("I")


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (Image.fromarray(RAMP.astype(np.uint16) * 16), "upper 8 of its 16 bits reach only 15"),
        (Image.fromarray(RAMP.astype(np.int32) * 70_000), "range from 0 to 1.785e"),
        (Image.fromarray(RAMP.astype(np.int32) - 1), "range from -1 to 254"),
        (Image.fromarray(RAMP.astype(np.float32)), "only for floats from 0 to 1"),
        (Image.fromarray(np.full((9, 9), np.nan, np.float32)), "range from nan"),
        (Image.new("LAB", (9, 9)), "save it as RGB"),
    ],
    ids=["12 bits", "32 bits", "negative", "floats", "nan", "LAB"],
)
def test_values_without_a_known_range_are_refused(
    tmp_path: Path, picture: Image.Image, says: str
) -> None:
    picture.save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=rf"x.tif can't be read as a picture .*{says}"):
        read_picture(tmp_path / "x.tif", SIDE)


def test_inks_of_which_nobody_says_whether_they_are_inverted_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    in_mode("CMYK").save(path)
    content = path.read_bytes()
    start = content.index(b"\xff\xee")  # the marker of Adobe
    path.write_bytes(content[:start] + content[start + 2 + content[start + 3] :])
    with pytest.raises(DataError, match="CMYK"):
        read_picture(path, SIDE)


def test_what_is_transparent_is_white_whatever_colour_it_hides(tmp_path: Path) -> None:
    alpha = np.where(OBJECT, 255, 0).astype(np.uint8)
    Image.merge("LA", [Image.fromarray(x) for x in (RAMP, alpha)]).save(tmp_path / "x.png")
    found, frame = read_picture(tmp_path / "x.png", SIDE)
    assert (found[~OBJECT] == 255).all()
    assert np.array_equal(found[OBJECT], RAMP[OBJECT][:, None].repeat(3, 1))
    assert "transparent" in frame.notes[0]


@pytest.mark.parametrize("suffix", ["gif", "tif", "png"])
def test_of_several_frames_the_first_is_taken_and_said(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(x) for x in (RAMP, 255 - RAMP)]
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
    found, frame = read_picture(tmp_path / f"x.{suffix}", SIDE)
    assert np.array_equal(found[..., 0], RAMP)
    assert "frames" in frame.notes[0]
    with pytest.raises(DataError, match="several frames"):
        read_mask(tmp_path / f"x.{suffix}", SIDE, "binary")


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_pictures_are_upright_as_exif_says(tmp_path: Path, turn: int, suffix: str) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    Image.fromarray(stored).save(tmp_path / f"x.{suffix}", exif=exif)
    with Image.open(tmp_path / f"x.{suffix}") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    found, frame = read_picture(tmp_path / f"x.{suffix}", 8)
    assert np.array_equal(found, upright)
    assert np.array_equal(unturned(turned(stored, turn), turn), stored)
    if suffix != "tif":  # which Pillow itself turns
        assert frame.turn == turn
        left, _ = read_picture(tmp_path / f"x.{suffix}", 8, upright=False)
        assert np.array_equal(turned(left, turn), found)


def palette(entries: np.ndarray, colours: list[int]) -> Image.Image:
    image = Image.fromarray(entries.astype(np.uint8)).convert("P")
    image.putpalette(colours)
    return image


def with_alpha(grey: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(np.uint8(x)) for x in (grey, alpha)])


@pytest.mark.parametrize(
    ("mask", "suffix"),
    [
        (Image.fromarray(OBJECT), "png"),
        (Image.fromarray(WHITE), "gif"),
        (Image.fromarray(OBJECT.astype(np.uint8)), "png"),
        (Image.fromarray(OBJECT.astype(np.uint16)), "png"),
        (Image.fromarray(OBJECT.astype(np.uint16) * 65535), "png"),
        (Image.fromarray(OBJECT.astype(np.int32) * 7), "tif"),
        (Image.fromarray(OBJECT.astype(np.float32)), "tif"),
        (Image.fromarray(WHITE).convert("RGB"), "png"),
        (Image.fromarray(WHITE).convert("RGBA"), "png"),
        (Image.fromarray(WHITE).convert("CMYK"), "tif"),
        (with_alpha(WHITE, WHITE), "png"),
        (palette(~OBJECT, [255, 255, 255, 0, 0, 0]), "png"),  # black is entry 1
        (palette(OBJECT, [0, 0, 0, 128, 0, 0]), "png"),
        (Image.fromarray(np.where(OBJECT, 235, 16).astype(np.uint8)), "png"),
    ],
)
def test_a_binary_mask_is_the_same_in_all_modes(
    tmp_path: Path, mask: Image.Image, suffix: str
) -> None:
    mask.save(tmp_path / f"m.{suffix}")
    assert np.array_equal(read_mask(tmp_path / f"m.{suffix}", SIDE, "binary")[0], OBJECT)


STRIPE = np.arange(SIDE)[:, None] + 0 * WHITE < 4


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (with_alpha(0 * WHITE, WHITE), "transparent"),
        (with_alpha(255 + 0 * WHITE, WHITE), "transparent"),
        (palette(OBJECT, [255, 0, 0, 0, 255, 0]), r"2 colours \(#00ff00, #ff0000\)"),
        (Image.fromarray(np.where(OBJECT, 1, 2).astype(np.uint8)), r"2 levels \(1, 2\)"),
        (Image.fromarray(np.where(STRIPE, 3, OBJECT).astype(np.uint8)), "3 levels"),
        (Image.fromarray(np.where(STRIPE, 255, OBJECT).astype(np.uint8)), "1 covers an area"),
        (Image.fromarray(np.where(STRIPE, 128, WHITE).astype(np.uint8)), "128 covers an area"),
        (Image.fromarray(OBJECT * np.float32(-1)), "negative"),
    ],
)
def test_a_mask_of_more_than_object_and_background_is_refused(
    tmp_path: Path, mask: Image.Image, says: str
) -> None:
    mask.save(tmp_path / "m.tif")
    with pytest.raises(DataError, match=rf"m.tif can't be read as .*{says}"):
        read_mask(tmp_path / "m.tif", SIDE, "binary")


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_compression_does_not_make_the_object_grow(tmp_path: Path, quality: int) -> None:
    Image.fromarray(WHITE).save(tmp_path / "m.jpg", quality=quality)
    mask, frame = read_mask(tmp_path / "m.jpg", SIDE, "binary")
    assert (mask != OBJECT).mean() < 0.01
    assert "between black and white" in frame.notes[0]


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(np.where(OBJECT, 1, 2).astype(np.uint8)),
        Image.fromarray(np.where(OBJECT, 1, 2).astype(np.uint16)),
        palette(np.where(OBJECT, 1, 2), [0, 0, 0, 200, 0, 0, 0, 200, 0]),  # entries are labels
        palette(np.where(OBJECT, 0, 1), [1, 1, 1, 2, 2, 2]),  # colours are, entries are reordered
    ],
)
def test_a_trimap_is_the_same_in_all_modes(tmp_path: Path, mask: Image.Image) -> None:
    mask.save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", SIDE, "trimap")[0], OBJECT)


def test_a_trimap_has_no_other_levels(tmp_path: Path) -> None:
    Image.fromarray(OBJECT.astype(np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(
        DataError, match=r"'trimap': its levels are 0, 1, but a trimap's are 1, 2 and 3"
    ):
        read_mask(tmp_path / "m.png", SIDE, "trimap")
