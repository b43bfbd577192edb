"""Audits of a network that is not known to be right: against itself, or its last version."""

from explaindebug.audit.check import check
from explaindebug.audit.judging import Checked
from explaindebug.audit.versions import Versioned, compare_models

__all__ = ["Checked", "Versioned", "check", "compare_models"]
