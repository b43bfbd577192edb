"""The page of methods says what the code says, and what tests have shown."""

import re
from dataclasses import fields

import pytest
import torch
from docs_scripts import ROOT, script

from explaindebug.attributions import ATTRIBUTIONS
from explaindebug.models import BVDCNN

LIBRARIES = {  # as the page calls them, and as Python does
    "captum": "captum",
    "torchcam": "torchcam",
    "zennit": "zennit",
    "shap": "shap",
    "lime package": "lime",
    "scikit-learn": "sklearn",
}


methods = script("methods")
NAMES = methods.ours()


def test_the_page_is_up_to_date():
    before = methods.PAGE.read_text()
    assert methods.page(before) == before, "run `python docs/methods.py`"


def test_the_page_has_every_method_and_four_parts():
    page = methods.PAGE.read_text()
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == NAMES
    parts = [part[2] for part in methods.PART.finditer(page)]
    assert parts == ["methods", "networks", "rules", "entries"]
    assert len(NAMES) == 24


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described(name):
    kind = ATTRIBUTIONS[name]
    for option in fields(kind):
        if option.repr:
            assert methods.described(kind, option.name), option.name


@pytest.mark.parametrize("name", methods.with_defaults())
def test_every_method_says_formula_networks_tests_and_source(name):
    own = methods.sections(ATTRIBUTIONS[name])
    assert any(p.startswith("    ") for p in own["Prose"].split("\n\n")), "no formula"
    assert methods.inherited(ATTRIBUTIONS[name], "Layers")
    assert own["Source"]
    files = re.findall(r"tests/\S+\.py", own["Checked"])
    code = "".join((ROOT / file).read_text() for file in files)
    for called, module in LIBRARIES.items():
        if re.search(rf"\b{called}\b", own["Checked"]):
            assert re.search(rf'(import |importorskip\(")({module})\b', code), called


def test_the_table_of_rules_has_every_rule_with_formula_and_source():
    _, _, *rows = methods.rules()
    assert [row.split("|")[1].strip(" `") for row in rows] == list(methods.RULES)
    for row in rows:
        _, _, written, formula, source, _ = row.split("|")
        assert written.strip(" `").endswith(")")
        assert formula.strip().startswith("R_j = sum_k")
        assert "20" in source


def test_a_docstring_is_read_by_its_sections():
    class Base:
        """Base.

        Args:
            samples: how many,
                at most.
            low, high: two numbers.

        Layers: all: really all.
        """

    class Own(Base):
        """First line.

            x_j = 1

        Args, beside the base's:
            low: one number.

        Source: somebody.
        """

    own = methods.sections(Own)
    assert own["Prose"] == "First line.\n\n    x_j = 1"
    assert own["Source"] == "somebody."
    assert methods.inherited(Own, "Layers") == "all: really all."
    said = {option: methods.described(Own, option) for option in ("samples", "low", "high", "x")}
    assert said == {
        "samples": "how many, at most.",
        "low": "one number.",
        "high": "two numbers.",
        "x": "",
    }


def test_precision_gets_better_with_the_number_of_draws():
    precision = script("precision")
    torch.manual_seed(0)
    x = torch.randn(20, 3, 12, 12)
    bench = precision.Bench(BVDCNN(1, 12, widths=(4, 4), hidden=(8,)).eval(), x[:4], x)
    group = precision.Group(("sgrad", "egrad"), "samples", (2, 100), 400)
    head, _, *rows = bench.table(group)
    assert head == "| `samples` | 2 | 100 |"
    for row, label in zip(rows, ("SGrad", "EGrad"), strict=True):
        few, many = ([float(x) for x in cell.split(",")] for cell in row.split("|")[2:4])
        assert row.startswith(f"| {label} |")
        assert few[0] > 3 * many[0]
        assert few[1] < many[1]
