"""Audits of one network, without a second one that is known to be right."""

from explaindebug.audit.check import check
from explaindebug.audit.discover import Discovered, discover
from explaindebug.audit.judging import Checked

__all__ = ["Checked", "Discovered", "check", "discover"]
