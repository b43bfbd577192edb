"""Debugging tests: networks, inputs, pairs of maps, and the number behind the verdict.

Each test is one file, with its `DebugTest` (pairs, direction, gates, wording) and its `Experiment`
(which networks are trained, and on what).
"""

from explaindebug.debugtests.base import Arms, DebugTest, known_tests
from explaindebug.debugtests.experiment import Experiment
from explaindebug.debugtests.groups import Groups, GroupsExperiment
from explaindebug.debugtests.lab import CLEAN, TWIN, Lab, NetworkSpec, Roles
from explaindebug.debugtests.labels import Labels, LabelsExperiment
from explaindebug.debugtests.ood import Ood, OodExperiment
from explaindebug.debugtests.probe import Probe
from explaindebug.debugtests.reference import AgainstReference
from explaindebug.debugtests.reinit import Reinit, ReinitExperiment
from explaindebug.debugtests.run import Found, Options, measured, run_test
from explaindebug.debugtests.simple import SimpleLab
from explaindebug.debugtests.spurious import Spurious, SpuriousExperiment

__all__ = [
    "CLEAN",
    "TWIN",
    "AgainstReference",
    "Arms",
    "DebugTest",
    "Experiment",
    "Found",
    "Groups",
    "GroupsExperiment",
    "Lab",
    "Labels",
    "LabelsExperiment",
    "NetworkSpec",
    "Ood",
    "OodExperiment",
    "Options",
    "Probe",
    "Reinit",
    "ReinitExperiment",
    "Roles",
    "SimpleLab",
    "Spurious",
    "SpuriousExperiment",
    "known_tests",
    "measured",
    "run_test",
]
