"""Runs that never happened, beside the paper's tables: made from the means that they shall have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import run_folders

from explaindebug.core.io import write_json
from explaindebug.evaluation.results import Gate, Headline, RunResult, TestResult
from explaindebug.evaluation.runs import read_run
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.published import EXPERIMENTS, METHODS, Printed

N = 190
NAMES = {label.lower().replace("-", "_").replace(" ", ""): label for label in METHODS}
DATA = {"figure7": "ImageNet", "table3": "MNIST"}
HEADLINES = {
    "spurious": Headline("share", "background", "up", "On the background?"),
    "labels": Headline("flipped", "spearman", "down", "Less alike?"),
    "reinit": Headline("top 2", "spearman", "down", "Changed?"),
    "ood": Headline("foreign", "spearman", "down", "Less alike?"),
}
Column = tuple[str, str, str]  # condition, role, similarity
Means = Mapping[str, float | Printed]  # by method, as the paper calls it


def values(mean: float, sem: float, seed: int) -> np.ndarray:
    """Numbers (N,) whose mean and standard error are exactly these."""
    x = np.random.default_rng(seed).standard_normal(N)
    return np.asarray(mean + (x - x.mean()) / x.std(ddof=1) * sem * N**0.5)


def scores(test: str, columns: Mapping[Column, Means]) -> Scores:
    """A column of scores for each comparison and method."""
    table = Scores()
    for seed, ((condition, role, similarity), means) in enumerate(columns.items()):
        for label, value in means.items():
            mean, sem = value if isinstance(value, tuple) else (value, 0.004)
            key = Key(test, name(label), condition, role, similarity)
            table.add(key, np.arange(N), values(mean, sem or 0.002, 100 * seed + len(table)))
    return table


def name(label: str) -> str:
    """A method's name in configs, by that in tables."""
    return label.lower().replace("-", "_").replace(" ", "")


def all_alike(value: float, labels: tuple[str, ...] = METHODS) -> dict[str, float]:
    """The same mean for every method."""
    return dict.fromkeys(labels, value)


def folder(
    where: Path,
    kind: str,
    columns: Mapping[Column, Means],
    *,
    gates: tuple[Gate, ...] = (),
    facts: Mapping[str, Any] | None = None,
    stages: tuple[str, ...] = (),
    agreement: Mapping[str, float] | None = None,
    accuracies: tuple[tuple[str, str, float], ...] = (),
    detectors: tuple[Any, ...] = (),
    **settings: Any,
) -> Path:
    """The folder of a run of this kind, as the application writes it."""
    test = EXPERIMENTS.get(kind, EXPERIMENTS["table3_mnist"]).test
    table = scores(test, columns)
    found = {name(label): label for means in columns.values() for label in means}
    result = TestResult(
        *(test, test.title(), HEADLINES[test], table, gates),
        stages=stages,
        agreement=agreement or {},
        facts=facts or {},
        detectors=detectors,
    )
    made = {"command": f"python train.py experiment={kind}", "seed": "0", "time": "1 min 2 s"}
    made["versions"] = "python 3.11, torch 2.15"
    whole = RunResult([result], found, accuracies, made | {"paper": kind})
    data = {"data": {"_target_": f"explaindebug.datamodules.{DATA.get(kind[:6], 'BirdsDogs')}"}}
    return run_folders.write(where, whole, **data | settings)


def entry(where: Path, kind: str, columns: Mapping[Column, Means], **more: Any) -> Entry:
    """The same, read back."""
    return Entry.of(read_run(folder(where, kind, columns, **more)))


def record(where: Path, bug: str, **splits: int) -> None:
    """What the bug did: how many pictures of each split it struck."""
    told = [{"split": split, "rows": list(range(n))} for split, n in splits.items()]
    write_json(where / "records" / f"{bug}.json", told)
