"""Assertions of the user's own: any function of outputs, maps and batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.importing import imported

# outputs (n, k) or (n,), raw maps (n, c, h, w), the inputs as a `Probe` -> severities (n,) >= 0
Function = Callable[..., Any]


@dataclass(frozen=True)
class Own(Assertion):
    """Severities by a function `f(outputs, maps, batch) -> (n,)`; True or above 0 is a violation.

    The function gets copies. Its null is its own answer to shuffled maps.

    Raises:
        DataError: for another shape, or a value below 0.
    """

    function: Function
    called: str
    name: str = field(default="own")  # type: ignore[misc]

    @property
    def claim(self) -> str:
        return f"{self.called} is 0"

    def severity(self, case: Case) -> Tensor:
        inputs = case.logits.clone(), case.maps.clone(), case.probe.map(torch.clone)
        given, n = self.function(*inputs), len(case.maps)
        try:
            found = torch.as_tensor(given).detach().double().cpu()
        except (TypeError, ValueError, RuntimeError):
            found = torch.empty(0, 0)
        if found.shape != (n,):
            shape = tuple(getattr(given, "shape", ())) or type(given).__name__
            raise DataError(
                f"the assertion {self.called} gives {shape}, but needs one severity per input: "
                f"({n},), 0 where it holds."
            )
        if bool((found < 0).any()):
            raise DataError(
                f"the assertion {self.called} gives {float(found.min()):g}, but severities are at "
                "least 0, which means that it holds."
            )
        return found

    def null(self, case: Case) -> Tensor:
        return self.severity(case.shuffled)


def built(specs: Sequence[Any] | Any) -> dict[str, Assertion]:
    """Assertions by their names in tables.

    Each is a name, `{name: {option: value}}`, an `Assertion`, a function `f(outputs, maps, batch)`,
    or the import path of one, `MODULE:NAME`, with or without options. A name that occurs again is
    numbered: `on_object`, `on_object-2`.

    Raises:
        ConfigError: for an unknown name or option, a path that can't be imported, or none at all.
    """
    if isinstance(specs, str | Mapping | Assertion) or callable(specs):
        specs = [specs]
    found: dict[str, Assertion] = {}
    for spec in specs:
        one = _built(spec)
        name, number = one.name, 1
        while name in found:
            number += 1
            name = f"{one.name}-{number}"
        found[name] = one
    if not found:
        raise ConfigError(f"assertions is empty: name one, such as {ASSERTIONS.names[0]}.")
    return found


def _built(spec: Any) -> Assertion:
    path, options = _path(spec)
    if path:
        function = _imported(path)
        return Own(partial(function, **options) if options else function, path, _short(path))
    one = ASSERTIONS.build(spec)
    if isinstance(one, type) and issubclass(one, Assertion):
        raise ConfigError(f"assertion {one.__name__} is a class: pass {one.__name__}(...).")
    if isinstance(one, Assertion):
        return one
    if callable(one):
        called = getattr(one, "__name__", type(one).__name__)
        return Own(one, called, _short(called))
    raise ConfigError(
        f"assertion {spec!r} is none: pass a name ({', '.join(ASSERTIONS)}), an object, or a "
        "function f(outputs, maps, batch) of which MODULE:NAME is the import path."
    )


def _path(spec: Any) -> tuple[str, dict[str, Any]]:
    """The import path that a spec names, and its options; empty if it names none."""
    if isinstance(spec, str) and ":" in spec:
        return spec, {}
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((path, options),) = spec.items()
        if isinstance(path, str) and ":" in path:
            return path, dict(options or {})
    return "", {}


def _short(path: str) -> str:
    """`my_project:looks_away` -> `looks_away`, without what keys of loggers can't hold."""
    name = path.rpartition(":")[2]
    return "".join(c if c.isalnum() or c == "_" else "_" for c in name).strip("_") or "own"


def _imported(path: str) -> Function:
    found = imported(path, "Write it as MODULE:NAME, and run where `import MODULE` works.")
    if not callable(found):
        raise ConfigError(f"assertion {path} is a {type(found).__name__}, not a function.")
    function: Function = found
    return function
