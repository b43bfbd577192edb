"""What a callback says instead of raising."""

import warnings

from explaindebug.core.errors import AttributionError, MeasurementWarning


class Reports:
    """Gives warnings, each sentence once, and keeps them all; `who` is the callback's name."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.said: list[str] = []

    def warn(self, sentence: str) -> None:
        """Say it, unless it was said before."""
        if sentence not in self.said:
            self.said.append(sentence)
            warnings.warn(f"explaindebug: {sentence}", MeasurementWarning, stacklevel=2)

    def fail(self, failure: str, error: Exception, *, strict: bool) -> None:
        """Say what failed.

        Raises:
            AttributionError: instead, if `strict`.
        """
        if strict:
            raise AttributionError(f"{self.who} {failure}") from error.__cause__
        self.warn(f"{self.who} {failure}")
