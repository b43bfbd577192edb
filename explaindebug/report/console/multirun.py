"""Several runs as a table in a terminal: methods x tests, with the spread over seeds."""

import math
from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from explaindebug.core import wording
from explaindebug.evaluation.multirun.comparison import Across, Line, lines
from explaindebug.evaluation.multirun.detection import Repeated, best_of_maps
from explaindebug.evaluation.multirun.sweeps import sweeps
from explaindebug.report import phrases
from explaindebug.report.console.verdicts import ASCII, SIGNS, STYLES


def print_across(result: Across, console: Console | None = None) -> None:
    """Print the verdicts of all seeds together, and how many of the runs say so by themselves."""
    _plainly(console or Console(), lambda where: _print(result, where))


def _plainly(console: Console, draw: Callable[[Console], None]) -> None:
    """Draw, with plain signs where the terminal has no others."""
    if console.encoding.startswith("utf"):
        return draw(console)
    with console.capture() as printed:
        draw(console)
    text = printed.get().translate(ASCII).replace("±", "+/-")
    console.file.write(text.encode(console.encoding, "replace").decode(console.encoding))


def _print(result: Across, console: Console) -> None:
    found = list(lines(result))
    for sweep in sweeps(result):
        console.print(Text(f"\n{sweep.sentence(result.methods)}\n", style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Method", no_wrap=True)
    for variant in result.variants:
        void = all(test.void for test in variant.results)
        title = Text.assemble(variant.title, (" (void)" if void else "", "red"))
        table.add_column(title, overflow="fold")
    cells = {(line.test, line.setting, line.method): line for line in found}
    names = {m: n for v in result.variants for m, n in v.results[0].lines(result.methods).items()}
    for method, name in names.items():
        where = [(variant.test, variant.setting, method) for variant in result.variants]
        table.add_row(Text(name), *(_cell(cells.get(key)) for key in where))
    console.print(table)
    console.print(
        Text(
            "\nEffects are means over runs ± their standard deviation between runs. The verdict is "
            "that of all runs together; behind it, how many say the same by themselves."
        )
    )
    _notes(found, console)


def _cell(line: Line | None) -> Text:
    if line is None:
        return Text(wording.NOTHING, style="dim")
    own = {"shows": line.shows, "doesn't": line.doesnt, "can't tell": line.cant_tell}[line.answer]
    count = f" {own}/{line.runs + line.void}"
    spread = "" if math.isnan(line.sd) else f" ± {wording.num(line.sd)}"
    word = Text(f"{SIGNS[line.answer]} {line.answer}", style=STYLES[line.answer])
    return Text.assemble(word, (count, "dim"), f"\n  {wording.signed(line.effect)}{spread}")


def _notes(found: list[Line], console: Console) -> None:
    """Which tests have void runs, and which only one run: their spread is not known."""
    for test, setting in dict.fromkeys((line.test, line.setting) for line in found):
        line = next(x for x in found if (x.test, x.setting) == (test, setting))
        where = f"{test} ({setting})" if setting else test
        if line.void:
            console.print(Text(f"{where}: {line.void} of {line.runs + line.void} runs are void."))
        if line.runs == 1:
            console.print(Text(f"{where}: one run, so the spread between seeds is not known."))


def print_detectors_across(
    title: str, found: Sequence[Repeated], names: Mapping[str, str], console: Console
) -> None:
    """Print a test's detectors over its runs: those without maps, and the best of the maps'."""
    if found:
        _plainly(console, lambda where: _print_detectors(title, found, names, where))


def _print_detectors(
    title: str, found: Sequence[Repeated], names: Mapping[str, str], console: Console
) -> None:
    passed = found[0].cut == "fpr95"
    cut = "FPR95" if passed else f"precision@{found[0].rate:.0%}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("one number of each", "AUROC", cut, "beyond chance"):
        table.add_column(name, no_wrap=True)
    for d in [*(d for d in found if not d.method), best_of_maps(found)]:
        if d and d.runs:
            of = f" of {names[d.method]} (best of maps)" if d.method else ""
            second = (d.fpr95, d.fpr95_sd) if passed else (d.precision, d.precision_sd)
            table.add_row(
                Text(phrases.statistic(d.statistic) + of),
                wording.mean_sd(d.auroc, d.auroc_sd),
                wording.mean_sd(*second),
                f"{d.beyond}/{d.runs}",
            )
    console.print(Text(f"\n{title}: {found[0].finds} found by"))
    console.print(table)
