"""Audits of one network, without a second one that is known to be right."""

from explaindebug.audit.asserted import Asserted
from explaindebug.audit.assertions import ASSERTIONS, Assertion
from explaindebug.audit.assess import assess
from explaindebug.audit.check import check
from explaindebug.audit.judging import Checked

__all__ = ["ASSERTIONS", "Asserted", "Assertion", "Checked", "assess", "check"]
