"""Errors and warnings; every message is a sentence with the value and the remedy."""


class ExplainDebugError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(ExplainDebugError, ValueError):
    """An option has an invalid value."""


class DataError(ExplainDebugError, ValueError):
    """Files or arrays are missing, corrupt or don't fit together."""


class UnsupportedModelError(ExplainDebugError, TypeError):
    """A model, or one of its layers, can't be handled; the message names the layer."""


class MapWarning(UserWarning):
    """A map was computed but is all zero or not finite, so it explains nothing."""


class AttributionError(ExplainDebugError, RuntimeError):
    """A map could not be computed, or is not finite."""


class AssertionsViolated(ExplainDebugError, RuntimeError):
    """Assertions about a network don't hold, where an error was asked for."""


class MeasurementWarning(UserWarning):
    """Part of a measurement was lost or left out; tables and reports show it as well."""


class LoggerWarning(UserWarning):
    """A logger or a file could not be written; the run continues without it."""


class DataWarning(UserWarning):
    """Data were read, but only in part, or in a way that the user should know about."""
