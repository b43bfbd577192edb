"""What lies in a run's folder beside its report: the paper's table as CSV and Markdown."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from explaindebug.files import replacing, write_atomically
from explaindebug.paper.entries import Entry
from explaindebug.paper.page import page, section
from explaindebug.paper.tables import PAPER, Number

HEADER = ("method", "condition", "similarity", "arm", "mean", "sem", "low", "high", "n", "missing")
LARGEST = 300_000  # bytes of a picture in a page of documentation
COLOURS = 64
ORDER = ("table2", "mislabelled", "figure7", "table3")
FIGURES = {  # of a run, as reports call them
    "{test}_effects": "bug and control, and the effect with its interval",
    "reinit_spearman": "rank correlation, stage by stage",
    "reinit_maps": "maps, stage by stage",
}


def write_paper(entry: Entry, folder: Path) -> None:
    """Write paper.csv, a line per number, and paper.md, each whole or not at all."""
    with replacing(folder / "paper.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(_lines(entry))
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
    """Write the page of all runs, in the paper's order, and small pictures beside it."""
    ordered = sorted(entries, key=place)
    pictures = {entry: drawn(entry, target) for entry in ordered}
    return write_atomically(target, page(ordered, pictures, command=command, title=title))


def place(entry: Entry) -> tuple[int, str, str]:
    """Where a run's section stands."""
    name = entry.experiment.name
    return next(k for k, o in enumerate(ORDER) if name.startswith(o)), name, entry.run.name


def drawn(entry: Entry, target: Path) -> dict[str, str]:
    """Small copies of what a run drew of its test: paths, as seen from the page, and captions."""
    folder, found = target.parent / "pictures", {}
    for name, caption in FIGURES.items():
        source = entry.run.folder / "figures" / f"{name.format(test=entry.test.name)}.png"
        if source.name.startswith(entry.test.name) and source.is_file():
            small = small_picture(source, folder / f"{entry.run.folder.name}_{source.name}")
            found[str(small.relative_to(target.parent))] = caption
    return found


def _plain(x: Number, arm: str) -> list[object]:
    """The cells of a line; of the paper's numbers neither interval nor inputs are known."""
    values: list[object] = ["" if math.isnan(v) else repr(v) for v in x[:4]]
    return [*values, *(["", ""] if arm == PAPER else [x.n, x.missing])]


def small_picture(source: Path, target: Path, largest: int = LARGEST) -> Path:
    """The picture with few colours, and as small as it must be to take at most `largest` bytes."""
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
