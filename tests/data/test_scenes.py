"""Scenes: each row its own, from parts of the photographs that no other split sees."""

import shutil

import numpy as np
import pytest
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.data.image_files import ORIENTATION
from explaindebug.data.photo_scenes import FRAME, MANY, PhotoScenes
from explaindebug.data.scenes import DrawnScenes, check, scene_source

ROWS = np.arange(200)
SPLITS = ("train", "val", "test")


@pytest.fixture
def ruler(tmp_path):
    """A picture whose red says how far right, whose green how far down; white round the edge."""
    w, h = 1000, 600
    pixels = np.zeros((h, w, 4), np.uint8)
    pixels[..., 0] = np.linspace(0, 250, w)[None]
    pixels[..., 1] = np.linspace(0, 250, h)[:, None]
    pixels[..., 3] = 255
    for edge in range(FRAME):
        pixels[[edge, -1 - edge]] = pixels[:, [edge, -1 - edge]] = 255
    Image.fromarray(pixels).save(tmp_path / "ruler.png")
    return PhotoScenes.found(tmp_path, "*.png", "bird")


def test_splits_see_disjoint_bands_without_the_frame(ruler):
    columns = {}
    for split in SPLITS:
        scenes = ruler(ROWS, split=split, size=16, seed=0)
        assert scenes.shape == (200, 16, 16, 3)
        assert not scenes[..., 2].any()  # the frame alone is blue, too
        columns[split] = set(np.unique(scenes[..., 0]).tolist())
    for split in SPLITS:
        others = set().union(*(columns[s] for s in SPLITS if s != split))
        assert len(columns[split] & others) <= 4  # one level, 4 columns, where bands meet
    assert len(columns["train"]) / len(columns["test"]) == pytest.approx(3, abs=0.5)


def test_pieces_are_of_one_scale_for_all_splits(ruler):
    widths = {}
    for split in SPLITS:
        red = ruler(ROWS, split=split, size=16, seed=0)[..., 0].astype(int)
        widths[split] = (red.max((1, 2)) - red.min((1, 2))).mean()
    assert max(widths.values()) < 1.1 * min(widths.values())


def test_half_are_flipped(ruler):
    scenes = ruler(ROWS, split="train", size=16, seed=0).astype(int)
    flipped = np.mean(scenes[:, 8, 0, 0] > scenes[:, 8, -1, 0])
    assert 0.35 < flipped < 0.65


def test_a_rows_scene_depends_on_seed_split_and_row_alone(ruler):
    whole = ruler(ROWS, split="val", size=16, seed=3)
    order = np.random.default_rng(0).permutation(ROWS)[:50]
    assert np.array_equal(ruler(order, split="val", size=16, seed=3), whole[order])
    assert not np.array_equal(ruler(ROWS, split="val", size=16, seed=4), whole)
    assert len(np.unique(whole.reshape(200, -1), axis=0)) == 200
    assert ruler(ROWS[:0], split="val", size=16, seed=3).shape == (0, 16, 16, 3)


def test_many_files_are_split_as_files(tmp_path):
    for i in range(MANY):
        Image.new("RGB", (80, 90), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    scenes = PhotoScenes.found(tmp_path, "*.png", "bird")
    seen = {s: np.unique(scenes(ROWS, split=s, size=8, seed=0)[..., 0] // 20) for s in SPLITS}
    assert sorted(np.concatenate(list(seen.values())).tolist()) == list(range(MANY))
    assert [len(seen[s]) for s in SPLITS] == [6, 2, 2]


def test_a_region_bounds_the_pieces(tmp_path, ruler):
    upper = PhotoScenes(ruler.files, (0.0, 0.0, 1.0, 0.5))
    assert upper(ROWS, split="train", size=16, seed=0)[..., 1].max() <= 126
    assert ruler(ROWS, split="train", size=16, seed=0)[..., 1].max() > 200
    with pytest.raises(ConfigError, match=r"region=\[0, 0.5, 1, 0.2\]"):
        PhotoScenes(ruler.files, (0, 0.5, 1, 0.2))
    with pytest.raises(DataError, match=r"ruler.png is 1000 x 600 .*too small"):
        PhotoScenes(ruler.files, (0, 0, 1, 0.1))(ROWS, split="train", size=16, seed=0)


def test_a_spec_names_a_kind_a_pattern_or_a_region(tmp_path, ruler):
    assert scene_source("drawn:sky", tmp_path, "bird") == DrawnScenes("sky")
    assert scene_source("*.png", tmp_path, "bird") == ruler
    spec = {"images": "*.png", "region": [0, 0, 0.5, 1]}
    assert scene_source(spec, tmp_path, "bird") == PhotoScenes(ruler.files, (0, 0, 0.5, 1))
    with pytest.raises(DataError, match=r"no scenes of class 'bird': .*matches 'sky/\*'"):
        scene_source("sky/*", tmp_path, "bird")
    with pytest.raises(ConfigError, match=r"unknown drawn scene 'skye'.*Did you mean 'sky'"):
        scene_source("drawn:skye", tmp_path, "bird")
    with pytest.raises(ConfigError, match="scenes of class 'bird'"):
        scene_source({"files": "*.png"}, tmp_path, "bird")


def test_a_class_without_scene_is_named():
    with pytest.raises(DataError, match=r"class 'dog' has no scene; there are scenes for 'bird'"):
        check({"bird": DrawnScenes("sky")}, ("bird", "dog"))


def test_drawn_scenes_depend_on_seed_split_and_row_alone():
    sky = DrawnScenes("sky")
    rows = np.arange(12)
    whole = sky(rows, split="train", size=16, seed=0)
    assert np.array_equal(sky(rows[[7, 2]], split="train", size=16, seed=0), whole[[7, 2]])
    for split, seed in (("test", 0), ("train", 1)):
        other = sky(rows, split=split, size=16, seed=seed)
        assert not (other == whole).all((1, 2, 3)).any()


def test_a_file_that_is_there_twice_belongs_to_one_split(tmp_path):
    for i in range(MANY):
        Image.new("RGB", (80, 90), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    shutil.copy(tmp_path / "0.png", tmp_path / "0 (1).png")
    (tmp_path / "1 again.png").symlink_to(tmp_path / "1.png")
    with pytest.warns(DataWarning, match=r"2 scenes of class 'bird' left out, .* copies"):
        scenes = PhotoScenes.found(tmp_path, "*.png", "bird")
    assert len(scenes.files) == MANY


def test_a_region_is_one_of_the_upright_picture(tmp_path):
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :100] = 255  # the left half as stored, the upper when turned
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    upper = PhotoScenes((tmp_path / "x.png",), (0.0, 0.0, 1.0, 0.5))
    assert upper(ROWS[:20], split="train", size=8, seed=0).min() == 255
