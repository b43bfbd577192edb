"""The paper's experiments by name, on whatever data there is; weights taken as they are."""

import csv
from collections.abc import Callable
from pathlib import Path

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


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Twenty pictures of ImageNet's classes, and a network with weights of 1,000 outputs."""
    order = sorted(make.wnids())
    for k in range(20):
        make.picture(tmp_path / "imagenet" / f"{order[50 * k]}_{k}.JPEG", grey=10 * k)
    make.lines(tmp_path / "imagenet/classes.txt", order)
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
    named = f"model.weights={tmp_path / 'weights.pt'}"
    for options, expected in (
        ((root, "model.weights=null", *small), "but there are none: give model.weights"),
        ((root, "bug.reinit.twin=true", *own, *small), "clean twin must be trained"),
        (("data=embedded", own[0], named, *small), "have 1000 outputs, but the data has 2 classes"),
    ):
        status, said = run("experiment=figure7", *options, "output=out", small=False)
        assert status == 1
        assert expected in said


def test_the_command_line_wins_over_an_experiment() -> None:
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        words = ["experiment=table2", "data=photos", "data.root=mine", "probe=8", "preset=robust"]
        composed = compose("train", overrides=[*words, "output=out"])
    checked = settings(composed)
    assert checked.data["_target_"].endswith("Photos")
    assert (checked.data["size"], checked.probe) == (224, 8)
    assert checked.postprocessing["sign"] == "abs"
    assert [*checked.bug] == ["spurious"]
