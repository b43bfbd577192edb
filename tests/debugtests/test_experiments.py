"""The experiments on a lab of few lines, without Lightning, Hydra and W&B."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plain_lab import PlainLab

from explaindebug.bugs.marks import Tag
from explaindebug.debugtests import (
    Experiment,
    LabelsExperiment,
    OodExperiment,
    ReinitExperiment,
    SpuriousExperiment,
)
from explaindebug.debugtests.base import SHOWN

TESTS = Path(__file__).parents[1]
EXPERIMENTS: dict[str, tuple[Experiment, set[str], set[str]]] = {
    "spurious": (
        SpuriousExperiment(ccm=4),
        {"gt1", "gt2", "share", "fam", "ccm"},
        {"spurious", "clean", "clean twin"},
    ),
    "labels": (
        LabelsExperiment(rate=0.3, detect=10),
        {"flipped", "unflipped"},
        {"mislabelled", "clean", "clean twin"},
    ),
    "reinit": (
        ReinitExperiment(layers=1, draws=2),
        {"fc2", "fc1", "conv1", "twin"},
        {"clean", "clean twin"},
    ),
    "ood": (
        OodExperiment(detect=10),
        {"foreign"},
        {"clean", "clean twin", "in-domain", "in-domain twin"},
    ),
}
ALONE = """
import sys
for name in ("lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from plain_lab import PlainLab
from explaindebug.debugtests import LabelsExperiment
lab = PlainLab()
experiment = LabelsExperiment(rate=0.3, detect=0)
experiment.check(lab)
print(sorted(experiment.run(lab).scores.unique("condition")))
"""


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_measures_the_networks_that_it_says(name: str) -> None:
    experiment, conditions, networks = EXPERIMENTS[name]
    lab = PlainLab()
    experiment.check(lab)
    assert {spec.name for spec in experiment.networks()} == networks
    expected, lab.asked, lab.calls = experiment.calls(lab), [], 0
    result = experiment.run(lab)
    assert set(lab.asked) == networks
    assert lab.calls == expected  # or the progress bar ends too early, or never
    assert (result.name, experiment.name) == (name, name)
    assert set(result.scores.unique("condition")) == conditions
    assert {key.test for key, _ in result.scores} == {name}
    assert bool(result.detectors) == (name in ("labels", "ood"))
    (gallery,) = result.galleries
    assert len(gallery.inputs) == 1
    if name != "reinit":
        assert gallery.row("control") == SHOWN["control"]


@pytest.mark.parametrize(
    ("signal", "bug"),
    [("tag", Tag()), ({"tag": None}, Tag()), ({"tag": {"size": 0.3}}, Tag(size=0.3))],
)
def test_a_signal_has_the_options_that_it_is_given(signal: Any, bug: Tag) -> None:
    *_, trained = SpuriousExperiment(signal=signal, fraction=0.5).networks()
    assert trained.bug == replace(bug, fraction=0.5)


def test_without_a_bug_a_cascade_loses_nothing() -> None:
    result = ReinitExperiment(layers=0, twin=False).run(PlainLab())
    assert result.stages == ()
    assert set(result.scores.unique("condition")) == {"none"}
    assert set(result.facts) == {"initialisation", "noise of the control"}


def test_neither_lightning_nor_hydra_is_needed() -> None:
    run = [sys.executable, "-c", ALONE, str(TESTS)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['flipped', 'unflipped']", done.stderr
