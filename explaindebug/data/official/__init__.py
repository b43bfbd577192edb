"""Public data sets in their official layouts: find, download and list their pictures."""

from explaindebug.data.official.source import Found, Source, check_there

__all__ = ["Found", "Source", "check_there"]
