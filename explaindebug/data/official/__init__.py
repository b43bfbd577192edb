"""The official layouts of public data sets: where they are, how they come there, what they hold."""

from explaindebug.data.official.source import Found, Source, check_there

__all__ = ["Found", "Source", "check_there"]
