"""Which methods are asked for, and what their maps are called."""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor

from explaindebug.attributions.method import ATTRIBUTIONS, Method

Specs = Any  # "all", a name, {name: {option: value}, ...}, a Method, or a list of these


def chosen(specs: Specs, *, references: bool) -> dict[str, Method]:
    """The methods by the keys of their maps: their registered names.

    Where a name is asked for with several sets of options, those that differ from the defaults are
    part of the key: `sgrad` and `sgrad(samples=8)`.

    Raises:
        ConfigError: for an unknown method or option.
    """
    methods: dict[Method, str] = {}
    for spec in _flat(all_names(references=references) if specs == "all" else specs):
        method = ATTRIBUTIONS.build(spec)
        methods[method] = next(iter(spec)) if isinstance(spec, Mapping) else _name(method)
    times = Counter(methods.values())
    return {k if times[k] == 1 else k + _options(m): m for m, k in methods.items()}


def all_names(*, references: bool) -> list[str]:
    """What "all" means: methods whose options all have defaults, if what they need is given."""
    methods = ((name, ATTRIBUTIONS[name]) for name in ATTRIBUTIONS)
    return [
        name
        for name, method in methods
        if (references or not method.needs_references) and _has_defaults(method)
    ]


def _has_defaults(method: type[Method]) -> bool:
    parameters = inspect.signature(method).parameters.values()
    return all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in parameters)


def _flat(specs: Specs) -> Iterator[Any]:
    if isinstance(specs, Mapping):
        yield from ({name: options} for name, options in specs.items())
    elif isinstance(specs, (str, Method)):
        yield specs
    else:
        for spec in specs:
            yield from _flat(spec)


def _name(method: Method) -> str:
    names = (name for name in ATTRIBUTIONS if ATTRIBUTIONS[name] is type(method))
    return next(names, method.label)


def _options(method: Method) -> str:
    changed = {
        f.name: getattr(method, f.name)
        for f in fields(method)
        if getattr(method, f.name) is not f.default and not isinstance(f.default, Tensor)
    }
    return f"({', '.join(f'{k}={v}' for k, v in changed.items())})" if changed else ""
