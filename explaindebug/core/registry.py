"""Registries of named things: one is added by a file in a package, or by a decorator anywhere."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from explaindebug.core.errors import ConfigError

T = TypeVar("T")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def nearest(name: str, known: Iterator[str] | list[str]) -> str:
    """` Did you mean 'x'?`, or an empty string if no known name is close."""
    letters = {plain(one): one for one in known}
    close = difflib.get_close_matches(plain(name), list(letters), n=1, cutoff=0.5)
    return f" Did you mean {letters[close[0]]!r}?" if close else ""


def plain(name: str) -> str:
    """A name reduced to lower-case letters and digits, so that spelling variants are equal."""
    return "".join(c for c in name.lower() if c.isalnum())


def unknown(
    kind: str,
    name: object,
    known: list[str],
    elsewhere: Mapping[str, str] | None = None,
    also: str = "",
) -> ConfigError:
    """The error for an unknown name; `elsewhere` maps common other names to the known ones."""
    alias = (elsewhere or {}).get(plain(str(name)))
    hint = f" Did you mean {alias}?" if alias else nearest(str(name), known)
    taken = ", ".join([*known, also] if also else known)
    return ConfigError(f"unknown {kind} {name!r}.{hint} Known: {taken}.")


class Registry(Generic[T]):
    """Maps short names (as in configs and tables) to things of one kind, in order of registration.

    Any code may register one; `register` is a decorator. Where there is a `package`, its modules
    are imported when a name is first looked up, so a new entry takes one new file. Importing a
    class directly works without the registry.

    Args:
        kind: what each is, for messages.
        package: where things are discovered.
        elsewhere: common other names, see `plain` -> names here.
        also: what is accepted besides names, for messages: "or a function of a picture".
    """

    def __init__(
        self,
        kind: str,
        package: str | None = None,
        elsewhere: Mapping[str, str] | None = None,
        also: str = "",
    ) -> None:
        self.kind = kind
        self._elsewhere = elsewhere
        self._also = also
        self._package = package
        self._entries: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that registers an entry under `name`; raises KeyError if the name is taken."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise KeyError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise self.unknown(name)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """All registered names, in order of registration."""
        self._discover()
        return list(self._entries)

    def unknown(self, name: object) -> ConfigError:
        """The error for what is no name here, with the nearest one."""
        return unknown(self.kind, name, self.names, self._elsewhere, self._also)

    def build(self, spec: Any) -> Any:
        """The entry that `spec` names, `"name"` or `{"name": {option: value}}`, or `spec` itself.

        Raises:
            ConfigError: for an unknown name, or an option that the entry does not have.
        """
        if isinstance(spec, str):
            spec = {spec: {}}
        if not isinstance(spec, Mapping):
            return spec
        if len(spec) != 1:
            raise ConfigError(
                f"{self.kind}: expected one name with its options, got {dict(spec)}. "
                "Write {name: {option: value}}."
            )
        ((name, options),) = spec.items()
        factory: Any = self[str(name)]
        known = inspect.signature(factory).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
        for option in options or {}:
            if str(option) not in known and not open_ended:
                hint = nearest(str(option), list(known))
                if isinstance(option, bool):
                    hint = " YAML reads on, off, yes and no as booleans: put it in quotes."
                raise ConfigError(
                    f"{self.kind} {name!r} has no option {option!r}.{hint} "
                    f"Known: {', '.join(known) or 'none'}."
                )
        given = set(map(str, options or {}))
        needed = [k for k, p in known.items() if p.default is p.empty and p.kind not in _VARIADIC]
        if missing := [k for k in needed if k not in given]:
            raise ConfigError(
                f"{self.kind} {name!r} needs {' and '.join(missing)}. "
                f"Write {{{name}: {{{', '.join(f'{k}: ...' for k in missing)}}}}}."
            )
        try:
            return factory(**{str(k): v for k, v in (options or {}).items()})
        except TypeError as error:
            raise ConfigError(f"{self.kind} {name!r}: {error}") from error

    def _discover(self) -> None:
        if self._discovered or self._package is None:
            return
        self._discovered = True  # before the imports, which may look up names themselves
        try:
            package = importlib.import_module(self._package)
            for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
                if not module.startswith("_"):
                    importlib.import_module(f"{self._package}.{module}")
        except BaseException:
            self._discovered = False
            raise
