"""Data modules of public data sets: splits, masks, scenes, lists, a sentence for what lacks."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import official_layouts as make
import pytest
import torch
from PIL import Image

from explaindebug.bugs.label_flips import LabelFlips
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.datamodules import (
    CUB200,
    BirdsDogs,
    DogBreeds,
    ImageNet,
    OxfordPets,
    StanfordDogs,
)
from explaindebug.datamodules.imagenet import spread

SCENES = {"bird": "places:sky", "dog": "places:bamboo_forest"}
FEW = {"train": 8, "val": 4, "test": 4, "size": 16}
MODULES = {CUB200: make.cub_2011, OxfordPets: make.pets, StanfordDogs: make.stanford_dogs}


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Birds of 2011, pets and Stanford's dogs in one root, with Places."""
    for write in (make.cub_2011, make.pets, make.stanford_dogs, make.places):
        write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("cls", MODULES, ids=lambda cls: cls.__name__)
def test_official_test_pictures_are_never_trained_on(tmp_path: Path, cls) -> None:
    MODULES[cls](tmp_path)
    module = cls(root=tmp_path, size=16, val=0.25)
    found = module.find()
    held = {photo.image for photo in found.photos if photo.held_out}
    train, val, test = ({p.image for p in part} for part in module.parts(found))
    assert test == held
    assert not (train | val) & held
    assert not train & val
    assert len(train | val) == len(found.photos) - len(held)
    splits = module.clean
    assert [len(part) for part in splits] == [len(train), len(val), len(test)]
    assert splits.train.masks is not None


def test_a_split_at_random_draws_from_all(tmp_path: Path) -> None:
    make.cub_2011(tmp_path)
    module = CUB200(root=tmp_path, split="random", train=0.5, val=0.25, test=0.25, size=16)
    assert [len(part) for part in module.clean] == [8, 4, 4]
    held = Counter(photo.held_out for photo in module.parts(module.find())[0])
    assert len(held) == 2
    assert CUB200(root=tmp_path, masks="none", size=16, val=0.25).clean.test.masks is None


@pytest.mark.parametrize("dogs", ["pets", "stanford"])
def test_birds_before_sky_and_dogs_before_bamboo(zoo: Path, dogs: str) -> None:
    module = BirdsDogs(root=zoo, dogs=dogs, scenes=SCENES, **FEW)
    assert module.classes == ("bird", "dog")
    assert [np.bincount(part.labels).tolist() for part in module.clean] == [[4, 4], [2, 2], [2, 2]]
    assert np.array_equal(module.clean.test.masks[0], module.clean.test.masks[-1])
    test = module.with_bug(SpuriousBackground(feather=0)).data.test
    for label, channel in ((0, 2), (1, 1)):
        behind = test.pixels[(test.labels == label)][:, 0, 0]
        assert (behind.argmax(-1) == channel).all()
        scenes = test.scenes[test.labels == label]
        assert scenes.mean((0, 1, 2)).argmax() == channel


def test_with_boxes_both_classes_are_rectangles(zoo: Path) -> None:
    """Else the form of the cut would tell birds from dogs."""
    outlines, boxes = (BirdsDogs(root=zoo, dogs=d).find().photos for d in ("pets", "stanford"))
    assert {type(p.mask).__name__ for p in outlines} == {"MaskFile"}
    assert {p.mask.read_as for p in boxes} == {"boxes"}


def test_the_authors_lists_are_used_where_they_are_and_fit(tmp_path: Path) -> None:
    make.cub_2010(tmp_path)
    make.pets(tmp_path)
    options = {"root": tmp_path, "birds": "cub_200", **FEW}
    drawn = BirdsDogs(**options).fingerprint()
    make.split_lists(tmp_path)
    listed = BirdsDogs(**options, lists=None)
    names = (tmp_path / "split_lists/birds_train_list.txt").read_text().split()
    first = {p.image.name for p in listed.parts(listed.find())[0] if p.label == 0}
    assert first < set(names)
    assert len(first) == 4  # half of the 8 that are asked for; the lists have more
    assert [len(part) for part in listed.clean] == [8, 4, 4]
    whole = BirdsDogs(**{**options, "train": 8600, "val": 1000, "test": 380})
    assert [len(part) for part in whole.parts(whole.find())] == [16, 8, 8]
    ignored = BirdsDogs(**options, lists=False)
    assert ignored.fingerprint() == drawn


def test_a_copy_in_two_splits_of_a_published_set_is_measured_on(tmp_path: Path) -> None:
    home = make.cub_2011(tmp_path)
    names = [line.split()[1] for line in (home / "images.txt").read_text().splitlines()]
    shutil.copy(home / "images" / names[0], home / "images" / names[7])  # to train on, held out
    with pytest.warns(DataWarning, match=rf"1 of 16 pictures left out.*{names[0]} of .*{names[7]}"):
        parts = CUB200(root=tmp_path, size=16, val=2).clean
    assert [len(part) for part in parts] == [5, 2, 8]


def test_a_copy_that_the_authors_lists_name_twice_is_not_trained_on(tmp_path: Path) -> None:
    make.cub_2010(tmp_path)
    make.pets(tmp_path)
    lists = make.split_lists(tmp_path)
    first, last = (
        (lists / f"dogs_{split}_list.txt").read_text().split()[0] for split in ("train", "test")
    )
    folder = tmp_path / "oxford-iiit-pet/images"
    shutil.copy(folder / first, folder / last)
    with pytest.warns(DataWarning, match=rf"1 of 32 pictures left out, .*{first} of .*{last}"):
        parts = BirdsDogs(root=tmp_path, birds="cub_200", size=16).clean
    assert [len(part) for part in parts] == [15, 8, 8]


def test_lists_are_no_concern_of_other_sets_unless_asked(zoo: Path) -> None:
    make.cub_2010(zoo)
    make.split_lists(zoo)
    BirdsDogs(root=zoo, **FEW).check()
    with pytest.raises(DataError, match=r"8 of 8 files .*birds_train_list"):
        BirdsDogs(root=zoo, lists=True, **FEW).check()


def test_everything_that_lacks_is_one_sentence(tmp_path: Path) -> None:
    for module, title in (
        (CUB200, "CUB-200-2011"),
        (OxfordPets, "Oxford-IIIT Pet"),
        (StanfordDogs, "Stanford Dogs"),
        (ImageNet, "ImageNet"),
        (BirdsDogs, r"^CUB-200-2011 .* the segmentations of CUB.* Oxford-IIIT Pet is not in"),
        (lambda root: BirdsDogs(root=root, birds="cub_200"), r"CUB-200 of 2010 .* images.tgz, ann"),
    ):
        with pytest.raises(DataError, match=title):
            module(root=tmp_path).check()


def test_scenes_of_places_are_part_of_what_must_be_there(zoo: Path) -> None:
    module = BirdsDogs(root=zoo, scenes=SCENES, **FEW)
    assert module._places_below_root()
    for path in (zoo / "places365").glob("*.txt"):
        path.unlink()
    module.with_bug(LabelFlips(0.25)).check()
    with pytest.raises(DataError, match=r"Places365 in .* lacks places365_val.txt"):
        module.with_bug(SpuriousBackground()).check()


def test_options_that_can_not_be_are_refused(tmp_path: Path) -> None:
    for cls, options, said in (
        (CUB200, {"masks": "outline"}, "masks='outline' is unknown. Known: outlines, boxes, none"),
        (CUB200, {"split": "mine"}, "unknown split 'mine'. Known: official, random"),
        (CUB200, {"crop": 2.0}, "crop=2.0"),
        (OxfordPets, {"by": "colour"}, "by='colour' is unknown. Known: species, breed"),
        (BirdsDogs, {"birds": "cub"}, "birds='cub' is unknown. Known: "),
        (BirdsDogs, {"dogs": "wolves"}, "dogs='wolves' is unknown. Known: "),
    ):
        with pytest.raises(ConfigError, match=said):
            cls(root=tmp_path, **options)


def test_scenes_of_no_class_are_refused(zoo: Path) -> None:
    module = OxfordPets(root=zoo, size=16, val=4, scenes={"cow": "drawn:sky"})
    with pytest.raises(
        ConfigError, match=r"given for 'cow', which is not a class. Classes: cat, dog"
    ):
        module.with_bug(SpuriousBackground()).check()


def test_cats_and_dogs_before_drawn_scenes(zoo: Path) -> None:
    scenes = {"cat": "drawn:sky", "dog": "drawn:bamboo"}
    module = OxfordPets(root=zoo, size=16, val=4, scenes=scenes).with_bug(SpuriousBackground())
    assert module.data.test.scenes.shape == (12, 16, 16, 3)
    assert module.classes == ("cat", "dog")


def test_real_birds_and_dogs_before_the_papers_sky(real_data: Path, tmp_path: Path) -> None:
    """Real photographs under the names of the official sets, which differ in size and masks."""
    birds = sorted((real_data / "birds_cub100/images").glob("*/*.jpg"))[::150]
    home = tmp_path / "CUB_200_2011"
    for path in birds:
        name = path.relative_to(real_data / "birds_cub100/images")
        mask = (real_data / "birds_cub100/masks" / name).with_suffix(".png")
        link(home / "images" / name, path)
        link((home / "segmentations" / name).with_suffix(".png"), mask)
    numbered = [f"{i} {p.parent.name}/{p.name}" for i, p in enumerate(birds)]
    ones = [f"{i} 1" for i in range(len(birds))]
    for name, rows in (
        ("images", numbered),
        ("image_class_labels", ones),
        ("train_test_split", ones),
    ):
        make.lines(home / f"{name}.txt", rows)
    make.lines(home / "classes.txt", ["1 001.Bird"])
    pets = tmp_path / "oxford-iiit-pet"
    for i, path in enumerate(sorted((real_data / "pets227/dogs/images").glob("*.jpg"))[::20]):
        link(pets / f"images/beagle_{i}.jpg", path)
        mask = np.asarray(Image.open(real_data / f"pets227/dogs/masks/{path.stem}.png"))
        make.levels(pets / f"annotations/trimaps/beagle_{i}.png", np.where(mask, 1, 2))
    for name in ("trainval", "test"):
        make.lines(pets / f"annotations/{name}.txt", ["beagle_0 1 2 1"])
    link(tmp_path / "sky", real_data / "backgrounds/bluesky")
    scenes = {"bird": "sky/*.png", "dog": "drawn:bamboo"}
    module = BirdsDogs(root=tmp_path, scenes=scenes, size=48, train=12, val=4, test=8)
    test = module.with_bug(SpuriousBackground()).data.test
    assert np.bincount(test.labels).tolist() == [4, 4]
    assert 0.15 < test.masks.mean() < 0.85
    changed = (test.pixels != module.clean.test.pixels).any(-1)
    assert changed[~test.masks].mean() > 0.95
    assert test.scenes[test.labels == 0].mean((0, 1, 2)).argmax() == 2  # blue


def link(own: Path, theirs: Path) -> None:
    own.parent.mkdir(parents=True, exist_ok=True)
    own.symlink_to(theirs.resolve())


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Sixty pictures of twenty of ImageNet's classes."""
    order = sorted(make.wnids())
    for k in range(0, 1000, 50):
        for i in range(3):
            make.picture(tmp_path / f"{order[k]}_{i}.JPEG", grey=k // 4, side=(40, 60))
    make.lines(tmp_path / "classes.txt", order)
    return tmp_path


def test_imagenet_has_labels_of_its_networks_and_their_normalisation(sample: Path) -> None:
    module = ImageNet(root=sample, size=32, train=20, val=10, test=30)
    assert len(module.classes) == 1000
    assert [len(part) for part in module.clean] == [20, 10, 30]
    batch = module.clean.test.batch([0])
    grey = int(batch.label) // 4 / 255
    expected = (grey - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(batch.image.mean((0, 2, 3)), expected, atol=0.05, rtol=0)


def test_a_probe_of_imagenet_is_spread_over_the_classes(sample: Path) -> None:
    module = ImageNet(root=sample, size=16, train=4, val=4, test=40)
    ten, thirty = (module.probe(n).truth.tolist() for n in (10, 30))
    assert len(set(ten)) == 10
    assert min(ten) < 100 < 800 < max(ten)
    assert len(set(thirty)) == len(set(module.clean.test.truth.tolist()))
    assert module.probe(10).fingerprint() == module.probe(10).fingerprint()
    with pytest.raises(DataError, match="a probe of 41 needs 41 test pictures, but there are 40"):
        module.probe(41)


def test_spread_takes_no_row_twice() -> None:
    labels = np.random.default_rng(0).integers(0, 50, 200)
    for count in (1, 7, 49, 50, 51, 130, 200):
        rows = spread(labels, count)
        assert len(set(rows)) == len(rows) == count
        turns = Counter(labels[rows].tolist())
        most = max(turns.values())
        full = Counter(labels.tolist())
        assert all(turns[k] >= min(most - 1, full[k]) for k in full)


def test_the_real_imagenet_sample_serves_squeezenet(real_data: Path) -> None:
    """With its real weights the right class is among the first five for most pictures."""
    from explaindebug.models import create_model

    weights = real_data / "squeezenet_imagenet/squeezenet1_0_torchvision_norm_fp16.pt"
    module = ImageNet(root=real_data / "imagenet_sample", train=8, val=8, test=40)
    model = create_model("squeezenet1_0", weights=weights).eval()
    batch = module.clean.test.batch(slice(0, 40))
    with torch.no_grad():
        first = model(batch.image).topk(5).indices
    assert (first == batch.label[:, None]).any(1).float().mean() > 0.7


TERRIER = "soft-coated_wheaten_terrier"


@pytest.fixture
def kennel(tmp_path: Path) -> Path:
    """Beagles in both data sets, another breed in each."""
    make.pets(tmp_path)
    make.stanford_dogs(tmp_path, breeds=("n02088364-beagle", f"n02098105-{TERRIER}"))
    return tmp_path


def test_breeds_come_out_of_both_data_sets(kennel: Path) -> None:
    breeds = ["Wheaten terrier", "beagle", "great_pyrenees"]
    module = DogBreeds(root=kennel, breeds=breeds, val=3, test=6, size=16)
    found = module.find()
    assert found.classes == ("wheaten terrier", "beagle", "great pyrenees")
    kinds = Counter((photo.label, type(photo.mask).__name__) for photo in found.photos)
    assert kinds == {
        (0, "AnnotatedBoxes"): 8,
        (1, "AnnotatedBoxes"): 8,
        (1, "MaskFile"): 8,
        (2, "MaskFile"): 8,
    }
    parts = module.parts(found)
    assert [len(part) for part in parts] == [23, 3, 6]
    assert len({photo.image for part in parts for photo in part}) == 32
    assert module.clean.test.masks is not None


@pytest.mark.parametrize("dogs", ["pets", "stanford"])
def test_breeds_of_one_data_set_need_the_other_not(kennel: Path, dogs: str) -> None:
    breeds = ["beagle", "great pyrenees" if dogs == "pets" else "wheaten terrier"]
    shutil.rmtree(kennel / ("stanford_dogs" if dogs == "pets" else "oxford-iiit-pet"))
    module = DogBreeds(root=kennel, breeds=breeds, dogs=dogs, val=2, test=2, size=16)
    assert len(module.find().photos) == 16
    assert [len(part) for part in module.clean] == [12, 2, 2]
    with pytest.raises(DataError, match=r"What to put|put"):
        DogBreeds(root=kennel, breeds=breeds, val=2, test=2, size=16).clean  # noqa: B018


def test_breeds_that_can_not_be_are_told(kennel: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no picture of a 'poodle'"):
        DogBreeds(root=kennel, breeds=["beagle", "poodle"]).find()
    with pytest.raises(ConfigError, match=r"'beegle', .*beagle"):
        DogBreeds(root=kennel, breeds=["beegle", "great pyrenees"]).find()
    with pytest.raises(ConfigError, match=r"there is no picture of a 'terrier'"):
        DogBreeds(root=kennel, breeds=["beagle", "terrier"]).find()
    for twice in (["beagle"], ["beagle", "Beagle"], ["wheaten terrier", TERRIER.title()]):
        with pytest.raises(ConfigError, match="two or more different ones"):
            DogBreeds(root=kennel, breeds=twice)


def test_the_user_studys_breeds_are_the_default_and_known_by_either_name() -> None:
    assert DogBreeds(root=".").breeds == DogBreeds(root=".", breeds=None).breeds
    assert len(DogBreeds(root=".").breeds) == 10
