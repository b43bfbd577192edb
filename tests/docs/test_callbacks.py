"""The page on callbacks says what the code does."""

import inspect
import re
from pathlib import Path

import pytest

from explaindebug import callbacks
from explaindebug.callbacks import AttributionCallback, ComparingCallback

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/callbacks.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_all_options_and_defaults_are_on_the_page():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Options"), flags=re.M)
    known = inspect.signature(AttributionCallback.__init__).parameters
    assert [name for name, _ in rows] == [name for name in known if name != "self"]
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


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)h][^)]*)\)", PAGE):
        path, _, anchor = target.partition("#")
        page = ROOT / "docs" / path if path else ROOT / "docs/callbacks.md"
        assert page.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
            anchors = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads]
            assert anchor in anchors, target
