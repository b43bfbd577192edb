"""Warnings that a callback gives instead of raising."""

import warnings

from explaindebug.core.errors import AttributionError, MeasurementWarning


class Reports:
    """Gives each warning once, and keeps all of them; `who` is the callback's name."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.said: list[str] = []

    def warn(self, sentence: str) -> None:
        """Warn, unless the same warning was given before."""
        if sentence not in self.said:
            self.said.append(sentence)
            warnings.warn(f"explaindebug: {sentence}", MeasurementWarning, stacklevel=2)

    def fail(self, failure: str, error: Exception, *, strict: bool) -> None:
        """Warn of a failure.

        Raises:
            AttributionError: instead of the warning, if `strict`.
        """
        if strict:
            raise AttributionError(f"{self.who} {failure}") from error.__cause__
        self.warn(f"{self.who} {failure}")
