"""Debugging tests: networks, inputs, pairs of maps, and the number that answers."""

from explaindebug.debugtests.base import Arms, DebugTest
from explaindebug.debugtests.lab import Found, SimpleLab, run_test
from explaindebug.debugtests.labels import Labels
from explaindebug.debugtests.ood import Ood
from explaindebug.debugtests.reference import AgainstReference
from explaindebug.debugtests.reinit import Reinit
from explaindebug.debugtests.spurious import Spurious

__all__ = [
    "AgainstReference",
    "Arms",
    "DebugTest",
    "Found",
    "Labels",
    "Ood",
    "Reinit",
    "SimpleLab",
    "Spurious",
    "run_test",
]
