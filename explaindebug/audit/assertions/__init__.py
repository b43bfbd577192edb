"""Assertions: sentences about a network that should hold, one file each."""

from explaindebug.audit.assertions._own import built
from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case
from explaindebug.audit.assertions.class_sensitive import ClassSensitive
from explaindebug.audit.assertions.finite import Finite
from explaindebug.audit.assertions.no_shortcut import NoShortcut
from explaindebug.audit.assertions.not_constant import NotConstant
from explaindebug.audit.assertions.object_needed import ObjectNeeded
from explaindebug.audit.assertions.off_region import OffRegion
from explaindebug.audit.assertions.on_object import OnObject
from explaindebug.audit.assertions.same_answer import SameAnswer
from explaindebug.audit.assertions.stable import Stable
from explaindebug.audit.assertions.weights_matter import WeightsMatter

__all__ = [
    "ASSERTIONS",
    "Assertion",
    "Case",
    "ClassSensitive",
    "Finite",
    "NoShortcut",
    "NotConstant",
    "ObjectNeeded",
    "OffRegion",
    "OnObject",
    "SameAnswer",
    "Stable",
    "WeightsMatter",
    "built",
]
