"""CUB of both editions, Oxford-IIIT Pet, Stanford Dogs: classes, splits, masks, what lacks."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import official_layouts as make
import pytest
import torchvision
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.data.official import Found, cub, pets, stanford_dogs


def mask_of(found: Found, size: int = make.SIDE) -> np.ndarray:
    _, mask = found.photos[0].read(size)
    assert mask is not None
    return mask


@pytest.mark.parametrize("home", [".", "CUB_200_2011"])
def test_cub_2011_is_what_its_lists_say(tmp_path: Path, home: str) -> None:
    make.cub_2011(tmp_path)
    found = cub.cub_2011(tmp_path / home)
    assert found.classes == ("Black footed Albatross", "Laysan Albatross")
    assert Counter((p.label, p.held_out) for p in found.photos) == {
        (k, held): 4 for k in (0, 1) for held in (False, True)
    }
    assert not any("stray" in p.image.name for p in found.photos)
    assert all(p.image.parent.name == make.SPECIES[p.label] for p in found.photos)


def test_segmentations_may_lie_beside_as_the_archive_has_them(tmp_path: Path) -> None:
    home = make.cub_2011(tmp_path)
    inside = mask_of(cub.cub_2011(tmp_path))
    shutil.move(home / "segmentations", tmp_path / "segmentations")
    assert np.array_equal(mask_of(cub.cub_2011(tmp_path)), inside)
    assert np.array_equal(inside, make.outline())  # the single vote at the edge is no majority


def test_boxes_and_outlines_of_every_set_lie_on_the_object(tmp_path: Path) -> None:
    make.cub_2011(tmp_path)
    make.cub_2010(tmp_path)
    make.stanford_dogs(tmp_path)
    for found in (
        cub.cub_2011(tmp_path, "boxes"),
        cub.cub_2010(tmp_path),
        stanford_dogs.stanford_dogs(tmp_path),
    ):
        assert np.array_equal(mask_of(found), make.outline())
        assert mask_of(found, 20).sum() == make.outline().sum() / 4
    assert cub.cub_2011(tmp_path, "none").photos[0].read(16)[1] is None


def test_a_crop_shows_the_centre_of_picture_and_mask_alike(tmp_path: Path) -> None:
    make.cub_2011(tmp_path)
    photo = cub.cub_2011(tmp_path).photos[0]
    pixels, mask = photo.read(20, crop=0.5)
    assert np.array_equal(mask, make.outline()[10:30, 10:30])
    assert np.abs(pixels[..., 0].astype(int) - np.where(mask, 255, 60)).mean() < 12  # JPEG


def test_cub_2010_has_all_its_pictures_and_no_test_pictures(tmp_path: Path) -> None:
    make.cub_2010(tmp_path)
    found = cub.cub_2010(tmp_path)
    assert found.classes == ("Black footed Albatross", "Laysan Albatross")
    assert len(found.photos) == 16
    assert not any(p.held_out for p in found.photos)
    with pytest.raises(ConfigError, match="boxes: use masks=outlines"):
        cub.cub_2010(tmp_path, "boxes")


def test_pets_by_species_and_by_breed(tmp_path: Path) -> None:
    make.pets(tmp_path)
    species, breeds = (pets.pets(tmp_path, by) for by in ("species", "breed"))
    assert species.classes == ("cat", "dog")
    assert breeds.classes == ("Abyssinian", "beagle", "great pyrenees")
    assert Counter(p.label for p in species.photos) == {0: 8, 1: 16}
    assert Counter(p.label for p in breeds.photos) == {0: 8, 1: 8, 2: 8}
    assert sum(p.held_out for p in species.photos) == 12
    assert all((p.image.name[0] in make.CAPITAL) == (p.label == 0) for p in species.photos)


def test_the_border_of_a_trimap_is_object_or_not(tmp_path: Path) -> None:
    make.pets(tmp_path)
    inner = mask_of(pets.pets(tmp_path, border=False))
    assert np.array_equal(mask_of(pets.pets(tmp_path)), make.outline())
    assert np.array_equal(inner[11:], make.outline()[11:])
    assert not inner[10].any()


def test_dogs_alone_are_all_dogs_also_those_in_no_list(tmp_path: Path) -> None:
    make.pets(tmp_path)
    found = pets.dogs(tmp_path)
    assert found.classes == ("dog",)
    assert len(found.photos) == 17
    assert {p.image.name.rpartition("_")[0] for p in found.photos} == {"beagle", "great_pyrenees"}


def test_stanford_dogs_by_breed_with_its_own_test_pictures(tmp_path: Path) -> None:
    make.stanford_dogs(tmp_path)
    found = stanford_dogs.stanford_dogs(tmp_path)
    assert found.classes == ("Chihuahua", "German shepherd")
    assert Counter((p.label, p.held_out) for p in found.photos) == {
        (k, held): 4 for k in (0, 1) for held in (False, True)
    }


SETS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Found]]] = {
    "cub_2011": (make.cub_2011, cub.cub_2011),
    "cub_2010": (make.cub_2010, cub.cub_2010),
    "pets": (make.pets, pets.pets),
    "dogs": (make.pets, pets.dogs),
    "stanford": (make.stanford_dogs, stanford_dogs.stanford_dogs),
}


@pytest.mark.parametrize("name", SETS)
def test_an_empty_root_says_what_to_put_where(tmp_path: Path, name: str) -> None:
    _, find = SETS[name]
    (tmp_path / "holidays").mkdir()
    with pytest.raises(
        DataError, match=r"is not in .* should be there, or below it in .*; there is holidays/\."
    ) as e:
        find(tmp_path)
    assert "or put " in str(e.value)
    assert "http" in str(e.value)
    with pytest.raises(DataError, match=r"there is no folder '.*nowhere'"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("name", SETS)
def test_files_that_lack_are_counted_and_the_first_named(tmp_path: Path, name: str) -> None:
    write, find = SETS[name]
    home = write(tmp_path)
    for kind in ("segmentations", "annotations-mat", "annotations/trimaps", "Annotation"):
        lost = sorted(p for p in (home / kind).rglob("[!.]*") if p.is_file())[-5:]
        for path in lost:
            path.unlink()
        if lost:
            with pytest.raises(DataError, match=r"5 of \d+ files listed in .* are missing: .*,"):
                find(tmp_path)


def test_pictures_that_a_list_names_must_be_there(tmp_path: Path) -> None:
    stanford = make.stanford_dogs(tmp_path)
    (stanford / "Images/n02085620-Chihuahua/n02085620_7.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 8 pictures .*test_list.mat are missing: n02085620"):
        stanford_dogs.stanford_dogs(tmp_path)
    bird = next((make.cub_2011(tmp_path) / "images" / make.SPECIES[0]).glob("B*"))
    bird.unlink()
    with pytest.raises(DataError, match=rf"CUB-200-2011: 1 of 32 files .*images.txt.*{bird.name}"):
        cub.cub_2011(tmp_path)


def test_half_of_a_data_set_says_which_half_lacks(tmp_path: Path) -> None:
    shutil.rmtree(make.cub_2011(tmp_path) / "segmentations")
    with pytest.raises(
        DataError, match=r"the segmentations of CUB.* is not in .*segmentations.tgz"
    ):
        cub.cub_2011(tmp_path)
    (make.pets(tmp_path) / "annotations/test.txt").unlink()
    with pytest.raises(DataError, match=r"iiit-pet is not complete: it lacks annotations/test.txt"):
        pets.pets(tmp_path)


def test_damaged_lists_and_annotations_are_named(tmp_path: Path) -> None:
    home = make.cub_2011(tmp_path)
    with (home / "images.txt").open("a") as file:
        file.write("17\n")
    with pytest.raises(DataError, match=r"line 17 of .*images.txt has 1 words, '17', not 2"):
        cub.cub_2011(tmp_path)
    (make.stanford_dogs(tmp_path) / "Annotation/n02085620-Chihuahua/n02085620_0").write_text("<a>")
    with pytest.raises(DataError, match=r"n02085620_0 can't be read as boxes .*Download it again"):
        stanford_dogs.stanford_dogs(tmp_path).photos[0].read(16)
    mat = sorted((make.cub_2010(tmp_path) / "annotations-mat").rglob("*.mat"))[0]
    mat.write_bytes(b"MATLAB")
    with pytest.raises(DataError, match=rf"{mat.name} can't be read as a Matlab file"):
        cub.cub_2010(tmp_path).photos[0].read(16)


def test_a_box_outside_of_its_picture_is_named(tmp_path: Path) -> None:
    path = make.stanford_dogs(tmp_path) / "Annotation/n02085620-Chihuahua/n02085620_0"
    path.write_text(path.read_text().replace("<xmin>6", "<xmin>90").replace("<xmax>26", "<xmax>99"))
    with pytest.raises(DataError, match=r"n02085620_0 has no box within its picture of 40 x 40"):
        stanford_dogs.stanford_dogs(tmp_path).photos[0].read(16)


def test_archives_and_digests_are_those_that_torchvision_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = make.fetched_by(torchvision.datasets.oxford_iiit_pet, monkeypatch)
    with pytest.raises(RuntimeError, match="not found"):
        torchvision.datasets.OxfordIIITPet(tmp_path, download=True)
    assert asked == {a.urls[0]: a.digest for a in pets.PETS.archives}
    assert {f"{name}.tar.gz": (name,) for name in ("images", "annotations")} == {
        a.name: a.gives for a in pets.PETS.archives
    }
    home = tmp_path / "oxford-iiit-pet"  # where torchvision has it, too
    assert home.is_dir()
    assert {a.into for a in pets.PETS.archives} == {home.name}


def test_real_birds_with_their_outlines_in_the_layout_of_cub(
    real_data: Path, tmp_path: Path
) -> None:
    """Crops of the real birds with masks of another make, under the names of the official set."""
    birds = real_data / "birds_cub100"
    names = sorted(p.relative_to(birds / "images").as_posix() for p in birds.glob("images/*/*.jpg"))
    names = names[:: len(names) // 20]
    species = sorted({name.partition("/")[0] for name in names})
    home = tmp_path / "CUB_200_2011"
    for name in names:
        for kind, suffix in (("images", ".jpg"), ("segmentations", ".png")):
            theirs = birds / ("images" if kind == "images" else "masks") / name
            own = (home / kind / name).with_suffix(suffix)
            own.parent.mkdir(parents=True, exist_ok=True)
            own.symlink_to(theirs.with_suffix(suffix).resolve())
    make.lines(home / "images.txt", [f"{i} {name}" for i, name in enumerate(names)])
    labels = [1 + species.index(name.partition("/")[0]) for name in names]
    make.lines(home / "image_class_labels.txt", [f"{i} {k}" for i, k in enumerate(labels)])
    make.lines(home / "train_test_split.txt", [f"{i} {i % 2}" for i in range(len(names))])
    make.lines(home / "classes.txt", [f"{i} {name}" for i, name in enumerate(species)])
    found = cub.cub_2011(tmp_path)
    areas = [mask_of(Found(found.classes, [photo]), 64).mean() for photo in found.photos]
    assert 0.12 < np.mean(areas) < 0.85
    with Image.open(found.photos[0].image) as image:
        assert image.size == (227, 227)
