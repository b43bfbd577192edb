"""Does a verdict keep what it promises? False alarms without a bug, and power against planted ones.

    python benchmarks/calibration.py [--quick] [--json FILE] [--folder FOLDER] [--sets N]
                                     [--planted N] [--jobs N]

Networks are small; tests and verdicts are those of the application. A table without a bug is that
of `bug=none`, less the gate that would void its first test. Each set has three clean networks of
each domain, and three tables, in which each of the three is the one to debug once: tables of one
set share networks, so intervals are also given over sets. With a folder, networks and scores are
kept there, and a second run only judges.
"""

import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import _twins
import numpy as np
import torch
from _bench import Bench, arguments
from scipy.stats import binomtest

from explaindebug.data import ImageSet
from explaindebug.debugtests import (
    Experiment,
    LabelsExperiment,
    OodExperiment,
    ReinitExperiment,
    SpuriousExperiment,
)
from explaindebug.evaluation.results import TestResult, Verdict
from explaindebug.evaluation.verdicts import repeated_verdicts, verdicts

TURNS = 3
LEVEL, MISSED = 0.05, 0.2  # false alarms, and planted bugs that are not shown: what is allowed
NONE: list[Experiment] = [
    SpuriousExperiment(0.0),
    LabelsExperiment(0.0),
    ReinitExperiment(layers=0),
    OodExperiment(foreign=False),
]
PLANTED: dict[str, Experiment] = {
    **{f"spurious {x}": SpuriousExperiment(x) for x in (0.1, 0.25, 0.5, 1.0)},
    **{f"labels {x}": LabelsExperiment(x) for x in (0.05, 0.1, 0.2, 0.4)},
    **{f"reinit {x}": ReinitExperiment(layers=x) for x in (1, 2, 3, 4)},
    **{f"ood {x}": OodExperiment() for x in ("near", "inverted", "far")},
}
# What the literature agrees on: a shortcut that is always there and covers the background shows in
# every map; lost weights show in all but the maps of guided backpropagation and deconvolution.
GRADIENTS = ["grad", "inputgrad", "sgradsq", "intgrad", "lrp_eps"]
AGREED = {"spurious 1.0": [*GRADIENTS, "gbp"], "reinit 3": GRADIENTS, "reinit 4": GRADIENTS}


class Job(NamedTuple):
    """One table: what is planted (or "none"), in which set, and which network is to debug."""

    what: str
    number: int
    turn: int = 0


def half(images: ImageSet) -> ImageSet:
    """Only the first half of the classes."""
    return images.subset((images.truth < len(images.classes) // 2).nonzero()[0])


def inverted(images: ImageSet) -> ImageSet:
    """Light and dark exchanged."""
    return replace(images, pixels=255 - images.pixels)


NEARER = {"ood near": half, "ood inverted": inverted}  # than animals are to figures


def table(job: Job, folder: Path) -> list[TestResult]:
    """The tests of a job, measured, or as they were kept."""
    name = "-".join(map(str, job))
    return _twins.kept(folder / "tables" / f"{name}.pickle", partial(_measured, job, folder))


def _measured(job: Job, folder: Path) -> list[TestResult]:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tests = NONE if job.what == "none" else [PLANTED[job.what]]
    trained_on = {}
    if job.what in NEARER:
        own = _twins.Pictures("figures", folder, job.number, NEARER[job.what])
        trained_on["data"] = own
    return _twins.measured(tests, folder, job.number, job.turn, **trained_on)


def tables(jobs: Sequence[Job], folder: Path, processes: int) -> dict[Job, list[TestResult]]:
    """All tables, several at a time."""
    for kind in _twins.POOL:
        _twins.pool(kind, folder)
    with ProcessPoolExecutor(processes, get_context("spawn")) as workers:
        found = workers.map(partial(table, folder=folder), jobs)
        return dict(zip(jobs, found, strict=True))


def ungated(results: Iterable[TestResult]) -> list[TestResult]:
    """The tests without the gate that would void one which has no bug."""
    return [replace(result, gates=()) for result in results]


def rate(bench: Bench, what: str, hits: Sequence[bool], allowed: float | None) -> None:
    """A row: how often something happened that is allowed at a rate, with its exact interval."""
    hits = list(map(bool, hits))
    low, high = binomtest(sum(hits), len(hits)).proportion_ci(0.95, "exact")
    text = f"{what}: {sum(hits)} of {len(hits)} [{low:.3f}, {high:.3f}]"
    peers = {} if allowed is None else {"allowed": allowed}
    bench.compare(text, sum(hits) / len(hits), peers, None if allowed is None else 1.0)


def false_alarms(bench: Bench, found: dict[Job, list[TestResult]]) -> None:
    """What is claimed where there is nothing."""
    judged = {job: verdicts(ungated(results)) for job, results in found.items()}
    wolf = {job: any(v.answer == "shows" for v in judged[job]) for job in judged}
    rate(bench, "false alarms: tables", list(wolf.values()), LEVEL)
    sets = dict.fromkeys(job.number for job in found)
    over_sets = [[w for job, w in wolf.items() if job.number == k] for k in sets]
    rate(bench, "false alarms: sets with any", [any(some) for some in over_sets], None)
    for test in NONE:
        own = {job: [v for v in table if v.test == test.name] for job, table in judged.items()}
        alone = [verdicts(ungated(r for r in found[job] if r.name == test.name)) for job in found]
        wolves = [any(v.answer == "shows" for v in table) for table in alone]
        rate(bench, f"false alarms: {test.name} alone", wolves, LEVEL)
        cells = [v for table in own.values() for v in table]
        rate(bench, f"false alarms: {test.name}, cells", [v.answer == "shows" for v in cells], None)
        absent = [v.answer == "doesn't" for v in cells]
        rate(bench, f"found to be none: {test.name}, cells", absent, None)
        _differences(bench, test.name, cells)
    repeated = [[found[Job("none", k, t)] for t in range(TURNS)] for k in sets]
    groups = [[ungated(tests) for tests in zip(*tables, strict=True)] for tables in repeated]
    together = [[v for part in repeated_verdicts(group) for v in part] for group in groups]
    hits = [any(v.answer == "shows" for v in table) for table in together]
    rate(bench, "false alarms: tables of three seeds together", hits, LEVEL)


def _differences(bench: Bench, test: str, cells: Sequence[Verdict]) -> None:
    """By how much effects without a bug scatter: what the verdict's `spread` is a guess at."""
    known = np.array([v.effect for v in cells if not np.isnan(v.effect)])
    bench.compare(f"standard deviation of effects without a bug: {test}", float(known.std()), {})


def power(bench: Bench, found: dict[Job, list[TestResult]]) -> None:
    """How often each planted bug is shown, method by method."""
    for what in PLANTED:
        judged = [verdicts(results) for job, results in found.items() if job.what == what]
        for method in dict.fromkeys(v.method for table in judged for v in table):
            own = [v for table in judged for v in table if v.method == method]
            shown = [v.answer == "shows" for v in own]
            effect = np.nanmedian([v.effect for v in own])
            void = sum(v.reason.startswith("The test is void") for v in own)
            note = f", {void} void" if void else ""
            said = f"missed: {what}, {method} (median effect {effect:+.2f}{note})"
            agreed = method in AGREED.get(what, ())
            rate(bench, said, [not x for x in shown], MISSED if agreed else None)


def main() -> None:
    """Measures what the command line asks for."""
    found = arguments(
        __doc__.splitlines()[0],
        folder={"help": "keep networks and scores here; a temporary folder otherwise"},
        sets={"type": int, "help": "of clean networks, three tables each (67, quick 4)"},
        planted={"type": int, "help": "tables for each planted bug (20, quick 2)"},
        jobs={"type": int, "default": os.cpu_count(), "help": "tables at a time"},
    )
    sets = found.sets or (4 if found.quick else 67)
    planted = found.planted or (2 if found.quick else 20)
    bench = Bench("calibration: rates", found)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(found.folder or temporary)
        clean = [Job("none", k, turn) for k in range(sets) for turn in range(TURNS)]
        bench.note(f"{len(clean)} tables without a bug, {planted} of each of {len(PLANTED)} bugs")
        false_alarms(bench, tables(clean, folder, found.jobs))
        bugs = [Job(what, k) for what in PLANTED for k in range(planted)]
        power(bench, tables(bugs, folder, found.jobs))
    bench.finish()


if __name__ == "__main__":
    main()
