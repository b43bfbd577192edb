"""The page on callbacks says what the code does."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from lightning_modules import Network, loader, pictures, trainer

from explaindebug import callbacks
from explaindebug.attributions import attribute
from explaindebug.callbacks import AttributionCallback, ComparingCallback
from explaindebug.evaluation.metrics import MapSimilarity

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/callbacks.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_all_options_and_defaults_are_on_the_page():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Options"), flags=re.M)
    known = inspect.signature(AttributionCallback).parameters
    assert [name for name, _ in rows] == list(known)
    for name, said in rows:
        default = known[name].default
        if isinstance(default, int) and not isinstance(default, bool):
            assert said.split()[0] == str(default), name


@pytest.mark.parametrize("name", ["similarities", "postprocessing", "nulls"])
def test_those_that_compare_have_three_more(name):
    assert f"`{name}`" in section("Options")
    assert name in inspect.signature(ComparingCallback.__init__).parameters


def test_all_callbacks_are_on_the_page():
    abstract = {"AttributionCallback", "ComparingCallback"}
    table = PAGE.split("## The contract")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.M)) == set(callbacks.__all__) - abstract


def test_the_example_of_a_metric_logs_the_similarity(tmp_path):
    code = re.findall(r"```python\n(.*?)```", section("Metrics"), flags=re.S)
    page: dict[str, Any] = {"LightningModule": pl.LightningModule}
    exec("".join(code), page)
    networks = Network(), Network()
    (logged,) = trainer(tmp_path).validate(page["Student"](*networks), loader(9), verbose=False)
    images, labels = pictures(9)
    ours, theirs = (
        attribute(x, images, targets=labels, methods=["grad"])["grad"] for x in networks
    )
    each = MapSimilarity("ssim").each(ours, theirs)
    assert logged == {"val/ssim": pytest.approx(float(each.mean()), abs=1e-6)}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)h][^)]*)\)", PAGE):
        path, _, anchor = target.partition("#")
        page = ROOT / "docs" / path if path else ROOT / "docs/callbacks.md"
        assert page.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
            anchors = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads]
            assert anchor in anchors, target
