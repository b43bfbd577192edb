"""What can go wrong, each as a sentence for a person: the value, and what to do about it."""


class ExplainDebugError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(ExplainDebugError, ValueError):
    """An option has a value that can't work."""


class DataError(ExplainDebugError, ValueError):
    """Files or arrays are missing, corrupt or don't fit together."""


class UnsupportedModelError(ExplainDebugError, TypeError):
    """A model, or one of its layers, can't be handled; the message names the layer."""


class MapWarning(UserWarning):
    """A map was computed, but explains nothing: it is all zero, or not finite."""


class AttributionError(ExplainDebugError, RuntimeError):
    """A map could not be computed, or is not finite."""


class MeasurementWarning(UserWarning):
    """Something of a measurement is lost or left out; tables and reports say so as well."""


class LoggerWarning(UserWarning):
    """A logger or a file could not be written, and the run goes on without it."""


class DataWarning(UserWarning):
    """Data were read, but not all of them, or in a way that their owner should know of."""
