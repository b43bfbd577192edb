"""What an import path of the user's stands for."""

from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest


def imported(path: str, how: str) -> Any:
    """The object at `module.name` or `module:name`.

    `how` says how such a path is written here, and where it is looked for: a sentence for errors.

    Raises:
        ConfigError: if there is no such thing, with the nearest name, or if its module fails.
    """
    try:
        return resolve_name(path)
    except Exception as error:
        hint = ""
        if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
            hint = nearest(str(error.name), [name for name in vars(error.obj) if name[:1] != "_"])
        raise ConfigError(
            f"{path!r} can't be imported ({type(error).__name__}: {error}).{hint} {how}"
        ) from error
