"""A misspelt method or similarity is refused before torch is imported, which takes seconds."""

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from explaindebug.core.registry import unknown
from explaindebug.core.spellings import METHODS, SIMILARITIES

OURS = "explaindebug."
# key -> package, its registry there, what it holds, and how these are called elsewhere
NAMED = {
    "attributions": ("explaindebug.attributions", "ATTRIBUTIONS", "attribution method", METHODS),
    "similarities": (
        "explaindebug.evaluation.similarities",
        "SIMILARITIES",
        "similarity",
        SIMILARITIES,
    ),
}


def check_names(config: Any) -> None:
    """Refuse names that no registry of this package can have.

    Where other code is loaded or named, it may register more: then the registries say it later.

    Raises:
        ConfigError: with the nearest known name.
    """
    plain = OmegaConf.to_container(config, resolve=False)
    if not all(target.startswith(OURS) for target in _targets(plain)):
        return
    for key, (package, registry, kind, elsewhere) in NAMED.items():
        if package in sys.modules or not isinstance(plain, Mapping):
            continue
        known = list(registered(package, registry))
        for name in _names(plain.get(key)):
            if name not in known and name != "all":
                raise unknown(kind, name, known, elsewhere)


def registered(package: str, registry: str) -> Iterator[str]:
    """The names that the decorators `@registry.register("name")` of a package's modules give.

    The modules are read and not imported.
    """
    spec = find_spec(package)
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_bytes())):
                for decorator in getattr(node, "decorator_list", ()):
                    match decorator:
                        case ast.Call(
                            func=ast.Attribute(value=ast.Name(id=found), attr="register"),
                            args=[ast.Constant(value=str(name))],
                        ) if found == registry:
                            yield name


def _names(specs: Any) -> Iterator[str]:
    """The names in a list of names and {name: options}; what is neither is left to later checks."""
    if isinstance(specs, str):
        yield specs
    elif isinstance(specs, Mapping):
        yield from map(str, specs)
    elif isinstance(specs, list):
        for spec in specs:
            yield from _names(spec)


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
