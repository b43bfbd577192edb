"""Bugs to debug: contaminated data, each with a record of what was changed, and lost weights."""

from explaindebug.core.registry import Registry

BUGS: Registry[type] = Registry("bug", "explaindebug.bugs")

__all__ = ["BUGS"]
