"""The page of results: its numbers are those of the runs, and it says where they come from."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docs_scripts import script
from paper_runs import all_alike, folder
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.studies.adebayo2020.experiments import resolved
from explaindebug.studies.adebayo2020.published import EXPERIMENTS
from explaindebug.studies.adebayo2020.write import MAPS

results = script("results")
COMMAND = (
    "python train.py --config-dir /home/me/conf experiment=table2 data.root=/home/me/photos seed=0 "
    "output=/home/me/runs/a store=/home/me/trained threads=2 logger=none"
)


def table2(where: Path, **more: Any) -> Path:
    printed = EXPERIMENTS["table2"].numbers
    columns = {
        (truth, role, "ssim"): means
        for truth in ("gt1", "gt2")
        for role, means in (
            ("bug", dict(printed[truth, "ssim"])),
            ("control", all_alike(0.5)),
            ("null: gaussian", all_alike(0.2)),
            ("null: shuffled", all_alike(0.6)),
        )
    }
    return folder(where, "table2", columns, **more)


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """The lines of the first table below a heading, by their first cell."""
    lines = text.split(f"\n## {heading}\n", 1)[1].split("\n|", 1)[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: others for first, *others in cells}


def test_the_pages_numbers_are_those_of_the_scores(tmp_path: Path) -> None:
    run = table2(tmp_path / "run")
    page = results.main([str(run), "--page", str(tmp_path / "page.md")])
    found = rows(page.read_text(), "Table 2: spurious backgrounds (`run`)")
    with (run / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    for method, label in (("vgrad", "VGrad"), ("lrp_spaf", "LRP-SPAF")):
        for condition, place in (("gt1", 1), ("gt2", 6)):
            own = [
                float(line["value"])
                for line in scores
                if (line["method"], line["condition"], line["role"]) == (method, condition, "bug")
            ]
            mean, error = (float(x) for x in found[label][place].split(" ± "))
            assert mean == pytest.approx(np.mean(own), abs=0.006)
            assert error == pytest.approx(np.std(own, ddof=1) / len(own) ** 0.5, abs=6e-4)
    assert found["VGrad"][0] == "0.075 ± 0.0089"  # as printed
    assert [found["Grad"][k].partition(" ")[0] for k in (2, 3, 4)] == ["0.50", "0.20", "0.60"]
    assert found["*all methods*"][5] == "0.78 to 0.98"


def test_a_page_says_how_each_run_was_made_and_nothing_of_the_machine(tmp_path: Path) -> None:
    run = table2(tmp_path / "run")
    told = run / "results.json"
    told.write_text(told.read_text().replace("python train.py experiment=table2", COMMAND))
    text = results.main([str(run), "--page", str(tmp_path / "page.md")]).read_text()
    assert "`python train.py experiment=table2 data.root=.../photos seed=0`" in text
    assert "1 min 2 s" in text
    assert "torch 2.15" in text
    assert "/home/me" not in text
    assert str(tmp_path) not in text
    assert "post-processed differently: sign abs" in text
    assert text.count("### Claim") == 6


def test_an_older_run_is_known_by_its_only_test_or_told(tmp_path: Path) -> None:
    run = table2(tmp_path / "run")
    told = run / "results.json"
    told.write_text(told.read_text().replace('"paper": "table2"', '"other": "nothing"'))
    for argument in (str(run), f"table2={run}"):
        assert results.entry(argument).experiment.name == "table2"
    with pytest.raises(DataError, match="it has no test 'reinit', only spurious"):
        results.entry(f"figure7={run}")


def test_a_run_of_other_data_has_no_column_in_table_3(tmp_path: Path) -> None:
    columns = {("foreign", "bug", "ssim"): all_alike(0.5)}
    for data, expected in (
        ("MNIST", "table3_mnist"),
        ("Photos", "table3_birds_dogs"),
        ("ImageNet", "table3_vgg16"),
        ("KMNIST", "table3_other"),
    ):
        target = {"data": {"_target_": f"explaindebug.datamodules.{data}"}}
        run = folder(tmp_path / data, "table3", columns, **target)
        assert results.entry(str(run)).experiment.name == expected
    with pytest.raises(ConfigError, match=r"is not a table of the paper. Did you mean 'table3'"):
        resolved("table33", "x")


def test_sections_stand_in_the_papers_order_and_claims_are_judged_by_every_run(
    tmp_path: Path,
) -> None:
    cascade = {("top 1", "bug", "ssim"): all_alike(0.5)}
    seven = folder(tmp_path / "seven", "figure7", cascade, stages=("top 1",))
    drawn = np.random.default_rng(0).integers(0, 255, (900, 700, 3), dtype=np.uint8)
    (seven / "figures").mkdir()
    Image.fromarray(drawn).save(seven / MAPS)
    runs = [seven, table2(tmp_path / "one"), table2(tmp_path / "two")]
    page = results.main([*map(str, runs), "--page", str(tmp_path / "docs/page.md")])
    text = page.read_text()
    places = [text.index(f" (`{name}`)\n") for name in ("one", "two", "seven")]
    assert places == sorted(places)
    claim = text.split("### Claim 2\n")[1].split("### Claim 3\n")[0]
    assert claim.count("as measured: **can't tell here**") == 2
    assert "its interval](pictures/one_effects.png)" in text
    assert "stage by stage](pictures/seven_curves.png)" in text
    assert "maps, stage by stage](pictures/seven_maps.png)" in text
    found = {path.name for path in (tmp_path / "docs/pictures").iterdir()}
    assert found >= {"one_effects.png", "two_effects.png", "seven_curves.png", "seven_maps.png"}
    small = tmp_path / "docs/pictures/seven_maps.png"
    assert small.stat().st_size < 300_000
    with Image.open(small) as image:
        assert image.width / image.height == pytest.approx(7 / 9, abs=0.02)


def test_runs_whose_folders_are_called_alike_are_told_apart(tmp_path: Path) -> None:
    runs = [table2(tmp_path / seed / "table2") for seed in ("first", "second")]
    text = results.main([*map(str, runs), "--page", str(tmp_path / "page.md")]).read_text()
    for seed in ("first", "second"):
        assert f"## Table 2: spurious backgrounds (`{seed}-table2-table2`)" in text
        assert (tmp_path / f"pictures/{seed}-table2-table2_effects.png").is_file()


def test_a_folder_without_a_run_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run of explaindebug"):
        results.main([str(tmp_path), "--page", str(tmp_path / "page.md")])
    assert not (tmp_path / "page.md").exists()
