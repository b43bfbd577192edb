"""The report: one self-contained page, and its pictures and figures as files."""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from explaindebug.cascade import Cascaded
from explaindebug.core import wording
from explaindebug.core.io import write_atomically
from explaindebug.evaluation.multirun.pooling import Several
from explaindebug.evaluation.results import RunResult, TestResult, Verdict
from explaindebug.evaluation.summary import Summary
from explaindebug.report import phrases
from explaindebug.report.beside import Number, Published
from explaindebug.report.figures import effects as figures
from explaindebug.report.figures import style as plotting
from explaindebug.report.figures.cascade import figure7
from explaindebug.report.figures.map_grid import map_grid
from explaindebug.report.figures.sweep import sweep_figure
from explaindebug.report.html.multirun import answer, spread, sweep_files, swept
from explaindebug.report.html.page import section
from explaindebug.report.html.pictures import save_pictures, scales, share
from explaindebug.report.maps.palettes import NOT_A_NUMBER

ONE = Several()  # of one run there is nothing of the kind
SPREAD = (
    "Several runs are put together here. “sd” is the standard deviation between runs of the "
    "effect; after it stands how many runs say by themselves what all say together."
)
LONG = 16  # characters of a word that fits into a column's heading
RANK = {"doesn't": 0, "can't tell": 1, "shows": 2}


def write_report(
    result: RunResult,
    verdicts: Sequence[Verdict],
    folder: Path,
    *,
    level: float = 0.05,
    further: Sequence[Verdict] = (),
    several: Several = ONE,
    published: Published | None = None,
) -> Path:
    """The path of `folder`/report.html, a page that needs nothing beside it.

    `level` is the rate of false claims that the verdicts were made with; `further` are the answers
    to the tests' further questions (see `followup`). Where the result is that of
    several runs, `several` has what each says by itself, and sweeps. Numbers that somebody
    `published` of one of the tests stand beside its own. Next to the
    page come pictures/ (PNG, a strip per test and input) and figures/ (PNG and PDF). It is written
    last and as a whole: where it exists, it is complete.
    """
    drawn = {
        test.name: draw(test, verdicts, test.lines(result.methods), several)
        for test in result.tests
    }
    for test, figures_of_test in drawn.items():
        for name, figure in figures_of_test.items():
            plotting.save(figure, folder / "figures" / f"{test}_{name}")
    curves = [sweep_figure(sweep, sweep.rows or result.methods) for sweep in several.sweeps]
    for name, figure in zip(sweep_files(several), curves, strict=True):
        plotting.save(figure, folder / name)
    save_pictures(result, folder / "pictures")
    page = render(result, verdicts, drawn, level, further, several, curves, published)
    return write_atomically(folder / "report.html", page)


def write_page(
    result: RunResult,
    verdicts: Sequence[Verdict],
    path: Path,
    level: float = 0.05,
    further: Sequence[Verdict] = (),
) -> Path:
    """The path of the page alone, all figures and maps in it; arguments are `write_report`'s."""
    drawn = {test.name: draw(test, verdicts, test.lines(result.methods)) for test in result.tests}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomically(path, render(result, verdicts, drawn, level, further))


def draw(
    test: TestResult,
    verdicts: Sequence[Verdict],
    names: Mapping[str, str],
    several: Several = ONE,
) -> dict[str, Figure]:
    """The figures of one test by name: "effects", "maps", and a similarity's curves over stages."""
    own = [v for m in names for v in verdicts if (v.test, v.method) == (test.name, m)]
    drawn = {"effects": figures.effects(own, names, several.verdicts)} if own else {}
    staged = [key.similarity for key, _ in test.scores if key.condition in test.stages]
    for similarity in dict.fromkeys(staged):
        drawn[similarity] = figures.cascade(test, names, similarity=similarity)
    for k, gallery in enumerate(g for g in test.galleries if g.maps and len(g.inputs)):
        name = "maps" if k == 0 else f"maps_{k + 1}"
        if not test.stages:
            drawn[name] = map_grid(gallery, names)
        elif set(test.stages) & set(gallery.maps):
            drawn[name] = figure7(
                Cascaded.of(test.stages, test.scores, test=test.name, gallery=gallery), names
            )
    return drawn


def render(
    result: RunResult,
    verdicts: Sequence[Verdict],
    drawn: Mapping[str, Mapping[str, Figure]],
    level: float = 0.05,
    further: Sequence[Verdict] = (),
    several: Several = ONE,
    curves: Sequence[Figure] = (),
    published: Published | None = None,
) -> str:
    """The page as HTML; `drawn` has each test's figures, `curves` those of the sweeps.

    All text from users is escaped.
    """
    cells, budget = phrases.by_cell(verdicts), share(result)
    return fill(
        "report.html.jinja",
        result=result,
        methods=result.lines,
        answer=answer(result, verdicts, several),
        remark=phrases.remark(result),
        reading=[*phrases.reading(verdicts, level), *[SPREAD] * bool(several.verdicts)],
        spreads={cell: spread(cells[cell], each) for cell, each in several.verdicts.items()},
        sweeps=swept(several, result.methods, curves),
        interval="95%",
        level=level,
        sections=[
            section(
                test,
                test.lines(result.methods),
                cells,
                drawn[test.name],
                budget,
                further,
                several,
                published,
            )
            for test in result.tests
        ],
        not_a_number="#" + bytes(NOT_A_NUMBER).hex(),
        **scales(),
    )


def fill(template: str, **values: object) -> str:
    """A page as HTML, its only script allowed by its hash."""
    environment = _environment()
    script = environment.get_template("script.js.jinja").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template)
    return page.render(script=Markup(script), script_hash=digest, **values)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "num": wording.num,
        "signed": wording.signed,
        "interval": wording.interval,
        "pvalue": wording.pvalue,
        "slug": lambda text: text.replace("'", "").replace(" ", "-"),
        "capital": lambda text: text[:1].upper() + text[1:],
        "sentence": wording.sentence,
        "order": lambda v: RANK[v.answer] * 1000 + (0 if math.isnan(v.effect) else v.effect),
        "mean_sem": _mean_sem,
        "mean_sd": lambda pair: wording.mean_sd(*pair),
        "breakable": _breakable,
    }
    return environment


def _mean_sem(cell: Summary | Number | None) -> str:
    if cell is None:
        return "–"
    text = f"{wording.num(cell.mean)} ±{wording.NO_BREAK}{wording.num(cell.sem, 3)}"
    return text if not cell.missing else f"{text} ({cell.missing} NaN)"


def _breakable(text: str) -> Markup:
    """The text with places where a line may end in long words, as in `bug.labels.rate=0.1`."""
    places = [re.split(r"(?<=[=/])(?=\w)|(?<=\.)(?=[a-z])", word) for word in text.split(" ")]
    wide = [
        Markup("<wbr>").join(word) if len("".join(word)) > LONG else "".join(word)
        for word in places
    ]
    return Markup(" ").join(wide)
