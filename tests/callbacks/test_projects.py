"""Every kind of project is measured or refused with a remedy, and trains as without callbacks.

What happens here makes the table of docs/callbacks.md: `python tests/callbacks/test_projects.py`.
"""

import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

sys.path.append(str(Path(__file__).parents[1]))  # where this file is run by itself
from lightning_modules import trainer
from projects import KINDS, Kind

from explaindebug.callbacks import AttributionCallback, HeatmapLogger, ReinitCascade

PAGE = Path(__file__).parents[2] / "docs/callbacks.md"
PART = re.compile(r"(<!-- projects, .*? -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = "| project | | what is explained, or the remedy |\n|---|---|---|"


def fitted(kind: Kind, callbacks: list[AttributionCallback], path: Any) -> Any:
    """Everything that training changes: weights, statistics and random numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a callback warns of is in `reported`
        pl.seed_everything(0, verbose=False)
        module = kind.make()
        options: dict[str, Any] = {"max_epochs": 1, "num_sanity_val_steps": 0} | kind.trainer
        run = trainer(path, [*kind.callbacks(), *callbacks], **options)
        run.fit(module, kind.loader, kind.loader)
    return {**module.state_dict(), "random": torch.get_rng_state()}


def watching(kind: Kind) -> list[AttributionCallback]:
    heatmaps = HeatmapLogger(["grad"], probe=2, **kind.options)
    small: dict[str, Any] = {"probe": 2, "most": 1, "pictures": 0, "nulls": ()}
    return [heatmaps, ReinitCascade(["grad"], similarities=["spearman"], **small, **kind.options)]


def row(kind: Kind, callback: AttributionCallback) -> str:
    """The table row of a kind of project, from the callback's results."""
    if callback.galleries:
        return f"| {kind.name} | measured | {callback.explains.partition(': ')[2]} |"
    return f"| {kind.name} | refused | {kind.remedy} |"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_is_measured_or_refused_and_trains_as_without_us(kind: Kind, tmp_path: Any) -> None:
    plain, callbacks = fitted(kind, [], tmp_path), watching(kind)
    watched = fitted(kind, callbacks, tmp_path)
    assert plain.keys() == watched.keys()
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    heatmaps, cascade = callbacks
    if kind.remedy:
        for callback in callbacks:
            (said,) = callback.reported
            assert all(option in said for option in re.findall(r"(?<!`)`?(\w+=)", kind.remedy))
            assert not callback.history
    else:
        assert not heatmaps.reported
        assert heatmaps.galleries
        assert any(key.role == "bug" for key, _ in cascade.scores)
    assert row(kind, heatmaps) in PAGE.read_text()


def test_the_table_has_every_kind_once() -> None:
    found = PART.search(PAGE.read_text())
    assert found
    names = re.findall(r"^\| (.*?) \| (?:measured|refused) \|", found[0], re.MULTILINE)
    assert names == [kind.name for kind in KINDS]


def write() -> None:
    """Write the table of the page."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            heatmaps, cascade = watching(kind)
            fitted(kind, [heatmaps, cascade], folder)
            rows.append(row(kind, heatmaps))
            print(rows[-1], heatmaps.reported, "" if cascade.scores else cascade.reported)
    table = "\n".join([HEAD, *rows])
    PAGE.write_text(PART.sub(lambda part: f"{part[1]}\n{table}\n\n{part[2]}", PAGE.read_text()))


if __name__ == "__main__":
    write()
