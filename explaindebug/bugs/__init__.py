"""What breaks a model: bugs as data, each with a record of what it did."""

from explaindebug.core.registry import Registry

BUGS: Registry[type] = Registry("bug", "explaindebug.bugs")

__all__ = ["BUGS"]
