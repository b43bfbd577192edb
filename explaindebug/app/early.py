"""Refuse misspelt methods and similarities before importing torch, which takes seconds."""

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
# key -> package, name of its registry, what the registry holds, and names used by other libraries
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
    """Refuse names that are in no registry of this package.

    If the configuration builds classes of other packages, these may register more names; then the
    names are checked later, by the registries.

    Raises:
        ConfigError: for an unknown name, with the nearest known one.
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
    """The names that a package's modules register with the decorator `@registry.register("name")`.

    The modules are parsed, not imported.
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
    """The names in a list of names and {name: options}; other values are left to later checks."""
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
