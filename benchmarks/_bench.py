"""The face that all benchmarks share: one table, `--quick`, `--json FILE`.

A row compares ours with a peer, in the same unit: `ratio` is ours / peer, and a goal is the ratio
that should not be exceeded. With one thread times are CPU times, which other programs disturb
least; with several they are wall-clock times. Candidates are measured in turn, medians are kept.

"MB kept" is by how much the resident memory of the process rises with each call of ours (median,
after a collection): what is not given back would fill the machine sooner or later.
"""

import argparse
import ctypes
import gc
import importlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported, which torch does

import torch
from rich.console import Console
from rich.table import Table

Case = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One comparison; `peer`, `goal` and what follows from them are None where there is none."""

    what: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None
    goal: float | None = None
    holds: bool | None = None
    kept: float | None = None  # MB that a call of ours leaves in memory; None where unknown


class Bench:
    """Collects rows; shows them as they come, and writes them at the end."""

    def __init__(self, title: str, arguments: argparse.Namespace) -> None:
        self.title, self.arguments = title, arguments
        self.device: str = getattr(arguments, "device", "cpu")
        self.rows: list[Row] = []
        self.skipped: dict[str, str] = {}
        self._kept: float | None = None  # of the first case that was timed last
        self._console = Console(width=None if sys.stdout.isatty() else 140)
        torch.set_num_threads(arguments.threads)
        warnings.simplefilter("ignore")  # the peers' own

    def peer(self, name: str) -> ModuleType | None:
        """A peer's module, or None with a note where it is not installed."""
        try:
            return importlib.import_module(name)
        except ImportError as error:
            self.skip(name.partition(".")[0], f"not installed ({error})")
            return None

    def skip(self, what: str, why: str) -> None:
        """Notes that something is left out, and why; the first reason counts."""
        self.skipped.setdefault(what, why.strip().splitlines()[0][:110])

    def medians(self, cases: Mapping[str, Case], repeats: int | None = None) -> dict[str, float]:
        """Milliseconds of each case; one that fails in its first run is skipped with its reason.

        The first case is ours: what it leaves in memory stands in the next row.
        """
        good = {name: case for name, case in cases.items() if self._runs(name, case)}
        times: dict[str, list[float]] = {name: [] for name in good}
        kept: list[float] = []
        for _ in range(repeats or self.arguments.repeats):
            for i, (name, case) in enumerate(good.items()):
                before = resident_mb()
                times[name].append(self._time(case))
                if i == 0 and before is not None:
                    kept.append((resident_mb() or 0) - before)
        self._kept = statistics.median(kept) if kept else None
        return {name: statistics.median(found) for name, found in times.items()}

    def peaks(self, cases: Mapping[str, Case], repeats: int = 5) -> dict[str, float]:
        """Megabytes that each case adds at its peak; empty where the system can't be asked."""
        found = [{name: _peak_mb(case) for name, case in cases.items()} for _ in range(repeats)]
        if any(peak is None for peaks in found for peak in peaks.values()):
            return {}
        return {name: statistics.median(peaks[name] for peaks in found) for name in cases}

    def compare(
        self, what: str, ours: float, peers: Mapping[str, float], goal: float | None = None
    ) -> None:
        """Adds a row for the best of the peers, the one with the smallest number."""
        name = min(peers, key=peers.__getitem__, default="")
        peer = peers.get(name)
        ratio = ours / peer if peer else None
        holds = None if goal is None or ratio is None else ratio <= goal
        kept, self._kept = self._kept, None
        self.rows.append(Row(what, ours, peer, name, ratio, goal, holds, kept))
        others = sorted(peers.items(), key=lambda item: item[1])
        found = ", ".join(f"{k} {_number(v)}" for k, v in [("ours", ours), *others])
        self._console.print(f"  {what}: {found}", markup=False, highlight=False)

    def note(self, text: str) -> None:
        """A line on the console."""
        self._console.print(text, style="bold")

    def finish(self) -> None:
        """Prints the table and what was skipped; writes the JSON file if one was asked for."""
        self._console.print(_table(self.title, self.rows))
        for what, why in self.skipped.items():
            self._console.print(f"skipped {what}: {why}", markup=False)
        goals = [row.holds for row in self.rows if row.holds is not None]
        self._console.print(f"{sum(goals)} of {len(goals)} goals hold.")
        if (now := resident_mb()) is not None:
            most = _status("VmHWM")
            self._console.print(f"resident memory: {now:.0f} MB at the end, {most:.0f} MB at most.")
        if self.arguments.json:
            rows = json.dumps([asdict(row) for row in self.rows], indent=1)
            Path(self.arguments.json).write_text(rows + "\n")

    def _runs(self, name: str, case: Case) -> bool:
        try:
            self._call(case)
        except Exception as error:  # a peer may fail in any way, and the rest is still worth it
            self.skip(name, f"{type(error).__name__}: {error}")
            return False
        return True

    def _time(self, case: Case) -> float:
        alone = self.device == "cpu" and self.arguments.threads == 1
        clock = time.process_time if alone else time.perf_counter
        time.sleep(0.03)  # torch's threads stay awake for a while after the last case
        start = clock()
        self._call(case)
        return 1000 * (clock() - start)

    def _call(self, case: Case) -> None:
        mixed = getattr(self.arguments, "mixed", False)
        with torch.autocast(self.device, torch.bfloat16, enabled=mixed):
            case()
        if self.device != "cpu":
            torch.cuda.synchronize()


def arguments(description: str, **options: Any) -> argparse.Namespace:
    """The command line; `options` are further flags, name -> argparse's keywords."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="under five minutes on two cores")
    parser.add_argument("--json", metavar="FILE", help="write the rows to this file")
    parser.add_argument("--threads", type=int, default=1, help="for ours and peers alike (1)")
    parser.add_argument("--repeats", type=int, help="of each measurement (5, quick 3)")
    for name, keywords in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **keywords)
    found = parser.parse_args()
    found.repeats = found.repeats or (3 if found.quick else 5)
    return found


def _peak_mb(case: Case) -> float | None:
    """Megabytes of memory that a case adds at its peak; None where Linux can't be asked."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed must not serve the next case
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = _status("VmRSS")
        case()
        return _status("VmHWM") - before
    except (OSError, AttributeError):
        return None


def resident_mb() -> float | None:
    """Megabytes of this process in memory, after a collection; None where Linux can't be asked."""
    gc.collect()
    return _status("VmRSS") if sys.platform == "linux" else None


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=f"{title} ({' '.join(sys.argv[1:]) or 'no options'})")
    for column in ("what", "ours", "peer", "peer name", "ratio", "goal", "holds", "MB kept"):
        words = column.startswith(("what", "peer name"))
        table.add_column(column, justify="left" if words else "right")
    for row in rows:
        numbers = (_number(x) for x in (row.ours, row.peer))
        ratio, goal = (f"{x:.2f}" if x is not None else "" for x in (row.ratio, row.goal))
        holds = {True: "yes", False: "[red]no[/red]", None: ""}[row.holds]
        kept = "" if row.kept is None else f"{row.kept:.1f}"
        table.add_row(row.what, *numbers, row.peer_name, ratio, goal, holds, kept)
    return table


def _number(x: float | None) -> str:
    if x is None:
        return ""
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"
