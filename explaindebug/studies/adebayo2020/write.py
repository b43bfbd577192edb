"""Write the paper's table into a run's folder as CSV and Markdown, and the page of results."""

import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from explaindebug.core.io import write_atomically, write_csv
from explaindebug.report.beside import PAPER, Number
from explaindebug.report.figures.effects import cascade, effects
from explaindebug.report.figures.style import save
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.page import page, section

HEADER = ("method", "condition", "similarity", "arm", "mean", "sem", "low", "high", "n", "missing")
LARGEST = 300_000  # bytes per picture in the documentation
COLOURS = 64
ORDER = ("table2", "mislabelled", "figure7", "table3")
MAPS = "figures/reinit_maps.png"  # as written by reports


def write_paper(entry: Entry, folder: Path) -> None:
    """Write paper.csv, a line per number, and paper.md, each atomically."""
    write_csv(folder / "paper.csv", HEADER, _lines(entry))
    write_atomically(folder / "paper.md", "\n".join(section(entry, {})).rstrip() + "\n")


def _lines(entry: Entry) -> Iterator[tuple[object, ...]]:
    if entry.table is None:
        return
    for method, row in entry.table.rows.items():
        for column, x in zip(entry.table.columns, row, strict=True):
            if x is not None:
                where = (entry.names[method], *column.comparison, column.arm)
                yield (*where, *_plain(x, column.arm))


def write_results(entries: Sequence[Entry], target: Path, *, command: str, title: str) -> Path:
    """Write the page of all runs, in the paper's order, and small pictures next to it."""
    counts = Counter(entry.label for entry in entries)
    unlike = [entry.told_apart() if counts[entry.label] > 1 else entry for entry in entries]
    ordered = sorted(unlike, key=place)
    pictures = {entry: drawn(entry, target) for entry in ordered}
    return write_atomically(target, page(ordered, pictures, command=command, title=title))


def place(entry: Entry) -> tuple[int, str, str]:
    """Sort key of a run's section."""
    name = entry.experiment.name
    return next(k for k, o in enumerate(ORDER) if name.startswith(o)), name, entry.run.name


def drawn(entry: Entry, target: Path) -> dict[str, str]:
    """Make small figures of a run for the page: paths, relative to it, and captions."""
    folder, found = target.parent / "pictures", {}
    with TemporaryDirectory() as fresh:
        for name, caption, source in _figures(entry, Path(fresh)):
            small = small_picture(source, folder / f"{entry.label}_{name}.png")
            found[str(small.relative_to(target.parent))] = caption
    return found


def _figures(entry: Entry, fresh: Path) -> Iterator[tuple[str, str, Path]]:
    """Name, caption and file of each: plots are redrawn, maps come from the run's folder."""
    test = entry.test
    if entry.verdicts:
        save(effects(list(entry.verdicts.values()), entry.names), fresh / "effects", ["png"])
        yield "effects", "bug and control, and the effect with its interval", fresh / "effects.png"
    if test.stages:
        save(cascade(test, entry.names), fresh / "curves", ["png"])
        yield "curves", "stage by stage", fresh / "curves.png"
        if (maps := entry.run.folder / MAPS).is_file():
            yield "maps", "maps, stage by stage", maps


def _plain(x: Number, arm: str) -> list[object]:
    """The cells of a line; interval and inputs of the paper's numbers are unknown."""
    values: list[object] = ["" if math.isnan(v) else repr(v) for v in x[:4]]
    return [*values, *(["", ""] if arm == PAPER else [x.n, x.missing])]


def small_picture(source: Path, target: Path, largest: int = LARGEST) -> Path:
    """The picture with few colours, shrunk until it takes at most `largest` bytes."""
    with Image.open(source) as image:
        whole = image.convert("RGB")
    scale = 1.0
    while True:
        size = [max(1, round(side * scale)) for side in whole.size]
        smaller = whole.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        smaller.quantize(COLOURS).save(file, "PNG", optimize=True)
        if file.tell() <= largest or max(size) < 100:
            return write_atomically(target, file.getvalue())
        scale *= 0.85
