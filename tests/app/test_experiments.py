"""The paper's experiments by name, on other data; and weights that are used as they are."""

import csv
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import official_layouts as make
import pytest
import torch
from hydra import compose, initialize_config_module
from torchvision.models import squeezenet1_0

from explaindebug.app.settings import settings

Run = Callable[..., tuple[int, str]]
QUICK = (
    "attributions=[grad,gbp]",
    "nulls=[gaussian]",
    "similarities=[ssim]",
    "probe=4",
    "pictures=0",
    "logger=none",
    "data.size=32",
    "trainer.enable_progress_bar=false",
)
TINY = ("data.train=12", "data.val=4", "data.test=8", "+model.widths=[4,4,4]", "+model.hidden=[8]")

BUGS = {"spurious": "background", "labels": "labels"}
RECORDS = {"spurious": "spurious", "labels": "mislabelled"}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def birds_dogs(tmp_path: Path) -> Path:
    for write in (make.cub_2011, make.pets, make.places):
        write(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("experiment", "test"), [("table2", "spurious"), ("mislabelled", "labels")]
)
def test_birds_and_dogs_in_their_official_layouts(
    run: Run, birds_dogs: Path, tmp_path: Path, experiment: str, test: str
) -> None:
    options = (f"data.root={birds_dogs}", "trainer.max_epochs=1", *QUICK, *TINY)
    more = {"spurious": ["bug.spurious.ccm=0"], "labels": ["bug.labels.rate=0.4"]}[test]
    more += ["bug.labels.detect=0"] if test == "labels" else []
    store = f"store={tmp_path / 'store'}"
    status, said = run(
        f"experiment={experiment}", *options, *more, store, "output=out", small=False
    )
    assert status == 0, said
    scores = rows(tmp_path / "out/scores.csv")
    assert {row["test"] for row in scores} == {test}
    assert {row["method"] for row in scores} == {"grad", "gbp"}
    conditions = {
        "spurious": {"gt1", "gt2", "share", "fam"},
        "labels": {"flipped", "unflipped"},
    }[test]
    assert {row["condition"] for row in scores} == conditions
    for condition in conditions:
        here = [row for row in scores if row["condition"] == condition]
        assert {"bug", "control", "null: gaussian"} <= {row["role"] for row in here}
        assert all(-1 <= float(row["value"]) <= 1 for row in here)
        for method in ("grad", "gbp"):
            own = [row for row in here if (row["method"], row["role"]) == (method, "bug")]
            assert len({row["row"] for row in own}) == len(own) == 4
    (record, *_) = json.loads((tmp_path / f"out/records/{RECORDS[test]}.json").read_text())
    assert (record["bug"], bool(record["rows"])) == (BUGS[test], True)


def test_the_user_studys_networks(run: Run, tmp_path: Path) -> None:
    make.pets(tmp_path / "data")
    make.stanford_dogs(tmp_path / "data")
    make.places(tmp_path / "data")
    status, said = run(
        "experiment=user_study",
        f"data.root={tmp_path / 'data'}",
        "data.breeds=[beagle,great pyrenees]",
        "~data.scenes",
        "+data.scenes={beagle: places:sky, great pyrenees: places:snow}",
        "foreign.breeds=[chihuahua,german shepherd]",
        *("data.val=4", "data.test=6", "foreign.val=4", "foreign.test=6", "data.batch_size=4"),
        *("model.name=resnet18", "model.weights=null", "trainer.max_epochs=2"),
        *("bug.spurious.ccm=0", "bug.labels.detect=0", "bug.ood.detect=0", *QUICK),
        *("bug.labels.rate=0.5", "probe=2"),
        *(f"store={tmp_path / 'store'}", "output=out"),
        small=False,
    )
    assert status == 0, said
    assert {row["test"] for row in rows(tmp_path / "out/scores.csv")} >= {
        *("spurious", "labels", "reinit", "ood")
    }
    recipe = json.loads(next((tmp_path / "store").glob("*/recipe.json")).read_text())
    training = recipe["training"]
    assert training["lr"] == 1e-4
    assert training["schedule"] == "constant"
    assert training["patience"] == 10
    assert training["augment"] == "flip_turn"
    assert next((tmp_path / "store").glob("*/best.ckpt")).is_file()


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Twenty pictures of ImageNet's classes, and a network with weights of 1,000 outputs."""
    make.imagenet(tmp_path / "imagenet")
    torch.manual_seed(0)
    torch.save(squeezenet1_0(weights=None).state_dict(), tmp_path / "weights.pt")
    return tmp_path / "imagenet"


def test_figure_7_takes_weights_as_they_are(run: Run, imagenet: Path, tmp_path: Path) -> None:
    weights = ("model.name=squeezenet1_0", f"model.weights={tmp_path / 'weights.pt'}")
    few = ("data.train=6", "data.val=4", "data.test=8", "bug.reinit.depth=1", "bug.reinit.layers=1")
    options = (f"data.root={imagenet}", *weights, *few, *QUICK, f"store={tmp_path / 'store'}")
    status, said = run("experiment=figure7", *options, "output=out", small=False)
    assert status == 0, said
    assert not (tmp_path / "store").exists()  # nothing was trained
    scores = rows(tmp_path / "out/scores.csv")
    stages = {row["condition"] for row in scores if row["test"] == "reinit"}
    assert stages == {"classifier", "features"}


def test_weights_that_can_not_be_taken_as_they_are(
    run: Run, imagenet: Path, tmp_path: Path
) -> None:
    """Without weights, where another network must be trained, or for other classes."""
    root, small = f"data.root={imagenet}", ("data.train=6", "data.val=4", "data.test=8", *QUICK)
    own = ("model.name=squeezenet1_0", f"model.weights={tmp_path / 'weights.pt'}")
    foreign = "data@foreign=figures foreign.size=32 foreign.train=40 foreign.val=10 foreign.test=20"
    ood = ("experiment=table3", "data=imagenet", "model=torchvision", "model.train=false", root)
    ood = (*ood, *foreign.split(), *own)
    for options, expected in (
        ((root, "model.weights=null"), "but there are none: set model.weights"),
        ((root, "bug.reinit.twin=true", *own), "clean twin must be trained"),
        (("data=embedded", *own), "They have 1000 outputs, but the data has 2 classes"),
        (
            (*ood, "bug.ood.twin=true"),
            "clean twin must be trained. Tests that need no further network are",
        ),
        (
            (*ood, "bug.ood.twin=false"),
            "in-domain twin must be trained. Choose a network to train on the foreign",
        ),
        ((root, *own, "model.train=perhaps"), "model.train is 'perhaps'"),
        ((root, *own, "+foreign_model=bvd_cnn"), "choose a model, model@foreign_model=bvd_cnn"),
    ):
        name = [] if options[:4] == ood[:4] else ["experiment=figure7"]
        status, said = run(*name, *options, *small, "output=out", small=False)
        assert status == 1
        assert expected in said


def fashion_mnist(root: Path) -> Path:
    """Sixty and forty pictures; each class is a square of its own grey value."""
    root.mkdir()
    for stem, n in (("train", 60), ("t10k", 40)):
        labels = (np.arange(n) % 10).astype("u1")
        images = np.zeros((n, 28, 28), "u1")
        images[:, 8:20, 8:20] = 20 * (labels + 1)[:, None, None]
        images[:, 0, 0] = np.arange(n) + 100 * (stem == "train")  # no picture twice
        for name, a in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
            (root / f"{stem}-{name}-ubyte").write_bytes(head + a.tobytes())
    return root


def table3(imagenet: Path, weights: Path | str, tmp_path: Path) -> tuple[str, ...]:
    few = ("data.train=6", "data.val=4", "data.test=8", "bug.ood.detect=8", "trainer.max_epochs=1")
    foreign = ("foreign.train=40", "foreign.val=10", "foreign.test=20")
    tiny = ("+foreign_model.widths=[4,4]", "+foreign_model.hidden=[8]")
    return (
        "experiment=table3_vgg16",
        f"data.root={imagenet}",
        f"foreign.root={fashion_mnist(tmp_path / 'fashion')}",
        "model.name=squeezenet1_0",
        f"model.weights={weights}",
        f"store={tmp_path / 'store'}",
        *few,
        *foreign,
        *tiny,
        *QUICK,
    )


def test_a_network_as_it_is_before_pictures_of_another_domain(
    run: Run, imagenet: Path, tmp_path: Path
) -> None:
    """Table 3's last network: not trained, of another kind than those of the pictures' domain."""
    options = table3(imagenet, tmp_path / "weights.pt", tmp_path)
    status, said = run(*options, "output=out", small=False)
    assert status == 0, said
    recipes = [json.loads(path.read_text()) for path in tmp_path.glob("store/*/recipe.json")]
    assert sorted(recipe["name"] for recipe in recipes) == ["in-domain", "in-domain twin"]
    assert {recipe["model"]["name"] for recipe in recipes} == {"bvd_cnn"}
    scores = rows(tmp_path / "out/scores.csv")
    assert {row["role"] for row in scores} == {"bug", "control", "null: gaussian"}
    note = json.loads((tmp_path / "out/run.json").read_text())["settings"]
    assert (note["model"]["name"], note["foreign_model"]["name"]) == ("squeezenet1_0", "bvd_cnn")
    facts = json.loads((tmp_path / "out/results.json").read_text())["facts"]["ood"]
    assert facts["network to debug"].startswith("squeezenet1_0 with the weights of")
    assert facts["network of the inputs' domain"] == "bvd_cnn, trained"


def test_the_network_of_the_pictures_domain_has_a_recipe_of_its_own(
    run: Run, imagenet: Path, tmp_path: Path
) -> None:
    """Another kind of it is trained anew, other weights of the one to debug change nothing."""
    options = table3(imagenet, tmp_path / "weights.pt", tmp_path)
    stored = []
    torch.manual_seed(1)
    torch.save(squeezenet1_0(weights=None).state_dict(), tmp_path / "others.pt")
    for i, more in enumerate(
        ([], [f"model.weights={tmp_path / 'others.pt'}"], ["foreign_model.hidden=[6]"])
    ):
        status, said = run(*options, *more, f"output=out{i}", small=False)
        assert status == 0, said
        stored.append(len(list((tmp_path / "store").iterdir())))
    assert stored == [2, 2, 4]


REAL = Path(os.environ.get("EXPLAINDEBUG_DATA", Path(__file__).parents[3] / "shared/data"))
WEIGHTS = REAL / "squeezenet_imagenet/squeezenet1_0_torchvision_norm_fp16.pt"


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"SqueezeNet's weights are not at {WEIGHTS}")
def test_squeezenet_with_imagenets_weights_before_foreign_pictures(
    run: Run, tmp_path: Path
) -> None:
    """It knows what it sees of its own domain; half of the precision is enough for that."""
    options = table3(REAL / "imagenet_sample", WEIGHTS, tmp_path)
    status, said = run(*options, "data.size=112", "data.test=100", "output=out", small=False)
    assert status == 0, said
    found = json.loads((tmp_path / "out/results.json").read_text())["accuracies"]
    assert {f"{model} {data}": x for model, data, x in found}["clean test"] > 0.3


def test_the_command_line_wins_over_an_experiment() -> None:
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        words = ["experiment=table2", "data=photos", "data.root=mine", "probe=8", "preset=robust"]
        composed = compose("train", overrides=[*words, "output=out"])
    checked = settings(composed)
    assert checked.data["_target_"].endswith("Photos")
    assert (checked.data["size"], checked.probe) == (224, 8)
    assert checked.postprocessing["sign"] == "abs"
    assert [*checked.bug] == ["spurious"]
