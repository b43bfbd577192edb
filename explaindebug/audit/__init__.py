"""Audits of a network that is not known to be right: against itself, or its last version."""

from explaindebug.audit.asserted import Asserted
from explaindebug.audit.assertions import ASSERTIONS, Assertion
from explaindebug.audit.assess import assess
from explaindebug.audit.check import check
from explaindebug.audit.discover import Discovered, discover
from explaindebug.audit.judging import Checked
from explaindebug.audit.versions import Versioned, compare_models

__all__ = [
    "ASSERTIONS",
    "Asserted",
    "Assertion",
    "Checked",
    "Discovered",
    "Versioned",
    "assess",
    "check",
    "compare_models",
    "discover",
]
