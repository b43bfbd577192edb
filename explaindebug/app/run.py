"""One run from its composed configuration to its report."""

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from explaindebug import __version__
from explaindebug.app.locks import RUNNING, alone_in
from explaindebug.app.progress import Bar, console, noting, say
from explaindebug.app.reproduction import named, put_beside
from explaindebug.app.run_tables import log_tables
from explaindebug.app.session import Workbench
from explaindebug.app.settings import Settings, settings
from explaindebug.attributions._engine.plan import Plan
from explaindebug.core.environment import versions
from explaindebug.core.errors import AttributionError, ConfigError
from explaindebug.core.io import (
    WRITING,
    as_json,
    check_space,
    remove_abandoned,
    remove_parts,
    writable_folder,
    write_atomically,
    write_json,
)
from explaindebug.core.wording import listed
from explaindebug.debugtests import Experiment, NetworkSpec
from explaindebug.evaluation import follow_up as followup
from explaindebug.evaluation.detection import write_detectors
from explaindebug.evaluation.results import RunResult, TestResult, Verdict
from explaindebug.evaluation.runs import SCHEMA_VERSION, described, flat
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.summary import write_summary
from explaindebug.evaluation.unscored import sentences
from explaindebug.evaluation.verdicts import verdicts
from explaindebug.report.console.detection import print_detectors
from explaindebug.report.console.follow_ups import print_questions
from explaindebug.report.console.verdicts import print_table
from explaindebug.report.html.write import write_report
from explaindebug.studies.adebayo2020.experiments import MADE, beside

NOTE = "run.json"  # what makes a folder a run's


def run(config: DictConfig) -> RunResult:
    """Train what is needed, run the debugging tests, and write everything into the output folder.

    All that can be wrong with the configuration and the data is found before anything is trained.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    with alone_in(folder):
        return carried_out(*prepared(config, folder))


def prepared(config: DictConfig, folder: Path) -> tuple[Workbench, list[Experiment], DictConfig]:
    """The run checked and ready to start in its folder; nothing is written but the folder."""
    bench, tests = checked_run(config, folder)
    claim(folder, bench.settings)
    if bench.settings.threads is not None:
        torch.set_num_threads(bench.settings.threads)
    with noting(bench.warnings):
        check(bench, tests)
    return bench, tests, config


def checked_run(config: DictConfig, folder: Path) -> tuple[Workbench, list[Experiment]]:
    """The run as far as its settings alone say whether it can be; writes and reads nothing.

    Raises:
        ConfigError: for whatever can't work.
    """
    checked = settings(config)
    tests = made(checked)
    _ = Plan(checked.attributions)
    bench = Workbench(checked, folder)
    _ = bench.comparison, bench.modules, bench.callbacks("check")
    bench.check_trainer()
    return bench, tests


def made(checked: Settings) -> list[Experiment]:
    """The debugging tests that are asked for.

    Raises:
        ConfigError: for an entry of `bug` that builds something else.
    """
    tests = {key: instantiate(node, _convert_="all") for key, node in checked.bug.items()}
    for key, test in tests.items():
        if not isinstance(test, Experiment):
            raise ConfigError(
                f"bug.{key} builds a {type(test).__name__}, which is no debugging test. "
                f"Leave it out with ~bug.{key}."
            )
    return list(tests.values())


def carried_out(
    bench: Workbench, tests: Sequence[Experiment], config: DictConfig, typed: str | None = None
) -> RunResult:
    """What a prepared run found, all of it written into its folder.

    `typed` is the command that makes this run, where it is not the one that was given.
    """
    typed = typed or command()
    start = time.perf_counter()
    checked, folder = bench.settings, bench.folder
    methods = Plan(checked.attributions).labels
    write_json(folder / NOTE, note(checked, typed))
    write_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
    bench.loggers = bench.start_loggers(folder.name)
    bench.train(list(dict.fromkeys(w for test in tests for w in test.networks())))
    results = measured(bench, tests)
    made = how_made(checked, typed, time.perf_counter() - start)
    result = RunResult(results, methods, bench.accuracies, made, bench.warnings)
    finish(result, bench)
    refuse_broken_maps(result)
    return result


def claim(folder: Path, checked: Settings) -> Path:
    """The output folder, where it may be ours: new, or that of the same run, cut before.

    What that one left half-written is removed.

    Raises:
        ConfigError: where it can't be written, or holds something else.
    """
    found = folder / NOTE
    if found.is_file():
        before = read_note(found)
        if others := _others(before.get("settings") or {}, note(checked, "")["settings"]):
            raise ConfigError(
                f"{folder} holds another run ({before.get('command', 'command unknown')}), of "
                f"other settings: {listed(others, 6)}. Give this one a folder of its own with "
                "output=..., or remove that one."
            )
    elif folder.is_dir() and not _fresh(folder):
        raise ConfigError(
            f"{folder} is not empty and holds no run of explaindebug, so nothing is written into "
            "it. Give an empty or a new folder with output=..."
        )
    remove_parts(writable_folder(folder))
    return folder


def _fresh(folder: Path) -> bool:
    """Whether there is nothing in the folder but what a run has before its note is written."""
    remove_abandoned(folder, prefix=f".{NOTE}.", suffix=WRITING)
    return all(path.name == RUNNING for path in folder.iterdir())


def _others(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of the settings in which two runs are not the same."""
    old, new = dict(flat(before)), dict(flat(as_json(now)))
    absent = object()
    return [key for key in {**new, **old} if old.get(key, absent) != new.get(key, absent)]


def read_note(path: Path) -> dict[str, Any]:
    """What a run wrote of itself; nothing where the file is no such note."""
    try:
        found = json.loads(path.read_text())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def note(checked: Settings, typed: str) -> dict[str, Any]:
    """What makes the folder this run's; written when all is checked, so that typos leave none."""
    identity = asdict(checked) | {"output": None, "store": None, "logger": None, "workers": None}
    paper = identity.pop("paper")  # what a run is put beside changes nothing of it
    return {"version": __version__, "command": typed, "paper": paper, "settings": identity}


def check(bench: Workbench, tests: Sequence[Experiment]) -> None:
    """Everything that can be refused before training: data, networks, methods."""
    say(f"output: {bench.folder}")
    wanted = list(dict.fromkeys(want for test in tests for want in test.networks()))
    domains = list(dict.fromkeys(want.domain for want in wanted))
    say(f"data: {bench.describe(domains)}")
    bench.check_given(wanted)
    for test in tests:
        test.check(bench)
    for domain in domains:
        bench.check_methods(domain)
    if to_train := [want for want in wanted if bench.to_train(want)]:
        check_disk(bench, to_train)


def check_disk(bench: Workbench, networks: Sequence[NetworkSpec]) -> None:
    """Refuse a run whose trained networks the disk has no room for.

    A checkpoint holds the weights and Adam's two moments of each. Store and run's folder may be on
    different disks, so both must have room.

    Raises:
        ConfigError: with what is needed and what is left.
    """
    try:
        _check_room(bench, networks)
    except ConfigError:  # those in the store need no more; to look them up takes a while
        _check_room(bench, [want for want in networks if not bench.store.has(bench.recipe(want))])


def _check_room(bench: Workbench, networks: Sequence[NetworkSpec]) -> None:
    weights = {domain: _bytes(bench.build(domain)) for domain in {w.domain for w in networks}}
    kept = sum(3 * weights[want.domain] for want in networks)
    # With patience the network under training has two: its best state and its last.
    under_way = 3 * max(weights.values(), default=0) if bench.settings.patience else 0
    for folder, needed in ((bench.store.folder, kept + under_way), (bench.folder, kept)):
        check_space(folder, needed, f"keeping {len(networks)} trained networks in {folder}")


def _bytes(network: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in network.parameters())


def measured(bench: Workbench, tests: Sequence[Experiment]) -> list[TestResult]:
    """The tests one after another; scores are on the disk after each."""
    results: list[TestResult] = []
    with Bar(sum(test.calls(bench) for test in tests)) as bench.progress:
        for test in tests:
            bench.progress.test(test.title.lower())
            results.append(test.run(bench))
            results[-1].domains = tuple(dict.fromkeys(want.domain for want in test.networks()))
            if bench.settings.clusters == "class":
                results[-1].clusters = bench.probed[test.name]
            scores = sum((result.scores for result in results), Scores())
            scores.to_csv(bench.folder / "scores.csv")
    return results


def how_made(checked: Settings, typed: str, seconds: float) -> dict[str, str]:
    """What somebody needs to make the same again."""
    return {
        "command": typed,
        "seed": str(checked.seed),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "time": f"{seconds // 60:.0f} min {seconds % 60:.0f} s",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
        "config": OmegaConf.to_yaml(OmegaConf.create(asdict(checked))),
        **named(checked),
    }


def finish(result: RunResult, bench: Workbench) -> None:
    """Verdicts, report and tables into the folder; the answer on the console."""
    folder, checked = bench.folder, bench.settings
    answers = verdicts(result.tests, margin=checked.margin, level=checked.level)
    scores = sum((test.scores for test in result.tests), Scores())
    summaries = write_summary(scores, folder / "summary.csv")
    further = [
        answer
        for test in result.tests
        for answer in followup.answers(test, margin=checked.margin, level=checked.level)
    ]
    write_json(folder / "results.json", plain(result, answers, further))
    found = [detector for test in result.tests for detector in test.detectors]
    write_detectors(found, folder / "detectors.csv")
    published = beside(result.made.get(MADE))
    report = write_report(
        result, answers, folder, level=checked.level, further=further, published=published
    )
    log_tables(bench.loggers, folder, answers, further, found, summaries)
    print_table(result, answers, console)
    print_questions(result, further, console)
    print_detectors(result, console)
    put_beside(result, folder, checked)
    say(f"\neverything is in {folder}; open {report}")
    for line in bench.upload_lines():
        say(f"upload with: {line}")


def refuse_broken_maps(result: RunResult) -> None:
    """A run whose maps hold NaN ends as an error, though all that it found is written.

    Raises:
        AttributionError: with methods and inputs.
    """
    broken = [
        said
        for test in result.tests
        for said in sentences([x for x in test.unscored if x.fault.broken], test.scores)
    ]
    if broken:
        raise AttributionError(f"the run is complete, but {' '.join(broken)}")


def plain(
    result: RunResult, answers: Sequence[Verdict], further: Sequence[Verdict]
) -> dict[str, Any]:
    """The results as plain values, for `results.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        **described(result),
        "verdicts": [asdict(answer) for answer in answers],
        "questions": [asdict(answer) for answer in further],
        "gates": [
            {"test": test.name, **asdict(gate), "passed": gate.passed}
            for test in result.tests
            for gate in test.gates
        ],
        "facts": {test.name: dict(test.facts) for test in result.tests},
        "detectors": [asdict(detector) for test in result.tests for detector in test.detectors],
        "accuracies": [list(row) for row in result.accuracies],
        "warnings": [*result.warnings, *(w for test in result.tests for w in test.warnings)],
        "made": {key: value for key, value in result.made.items() if key != "config"},
    }


def command() -> str:
    """The command line that started this process, as it could be typed again."""
    return shlex.join(["python", *sys.argv] if sys.argv[0].endswith(".py") else sys.argv)
