"""Which warnings reach the console while networks are trained."""

import warnings

from explaindebug.app.training import quiet
from explaindebug.core.errors import LoggerWarning, MeasurementWarning


def test_what_a_report_says_is_silent_and_a_failing_logger_is_not_whatever_the_words() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        quiet()
        warnings.warn("explaindebug: the run goes on", MeasurementWarning, stacklevel=1)
        warnings.warn("explaindebug: no network", LoggerWarning, stacklevel=1)
    assert [one.category for one in heard] == [LoggerWarning]
