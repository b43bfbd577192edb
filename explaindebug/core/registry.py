"""Registries whose entries are discovered by adding a file to a package."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from explaindebug.core.errors import ConfigError

T = TypeVar("T")


def nearest(name: str, known: Iterator[str] | list[str]) -> str:
    """` Did you mean 'x'?`, or an empty string if no known name is close."""
    letters = {plain(one): one for one in known}
    close = difflib.get_close_matches(plain(name), list(letters), n=1, cutoff=0.5)
    return f" Did you mean {letters[close[0]]!r}?" if close else ""


def plain(name: str) -> str:
    """A name reduced to lower-case letters and digits, so that spelling variants are equal."""
    return "".join(c for c in name.lower() if c.isalnum())


def unknown(
    kind: str, name: str, known: list[str], elsewhere: Mapping[str, str] | None = None
) -> ConfigError:
    """The error for an unknown name; `elsewhere` maps common other names to the known ones."""
    alias = (elsewhere or {}).get(plain(name))
    hint = f" Did you mean {alias}?" if alias else nearest(name, known)
    return ConfigError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(known)}.")


class Registry(Generic[T]):
    """Maps short names (as in configs and tables) to the entries of one package.

    The package's modules are imported when a name is first looked up, so a new entry takes one new
    file. Importing a class directly works without the registry.
    """

    def __init__(self, kind: str, package: str, elsewhere: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._elsewhere = elsewhere  # common other names, see `plain` -> names here
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
        self._discover()
        if name not in self._entries:
            raise unknown(self.kind, name, self.names, self._elsewhere)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @property
    def names(self) -> list[str]:
        """All registered names, in order of registration."""
        self._discover()
        return list(self._entries)

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
        try:
            return factory(**{str(k): v for k, v in (options or {}).items()})
        except TypeError as error:
            raise ConfigError(f"{self.kind} {name!r}: {error}") from error

    def _discover(self) -> None:
        if self._discovered:
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
