"""Which methods are asked for, and what their maps are called."""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method

Specs = Any  # "all", a name, {name: {option: value}, ...}, a Method, or a list of these


def chosen(specs: Specs, *, references: bool) -> dict[str, Method]:
    """The methods by the keys of their maps: their registered names.

    Where a name is asked for with several sets of options, those that differ from the defaults are
    part of the key: `sgrad` and `sgrad(samples=8,noise=0.1)`.

    Raises:
        ConfigError: for an unknown method or option.
    """
    named: dict[Method, tuple[str, Mapping[str, Any]]] = {}
    for spec in _flat(all_names(references=references) if specs == "all" else specs):
        method = ATTRIBUTIONS.build(spec)
        name, options = _as_asked(spec, method)
        named.setdefault(method, (name, method.told(options)))
    times = Counter(name for name, _ in named.values())
    found, alike = {}, Counter[str]()  # options of different values can be written alike
    for method, (name, options) in named.items():
        key = name + (_written(options) if times[name] > 1 else "")
        alike[key] += 1
        found[key if alike[key] == 1 else f"{key}-{alike[key]}"] = method
    return found


def all_names(*, references: bool, transformers: bool = False) -> list[str]:
    """What "all" means: methods whose options all have defaults, if what they need is given.

    Those for transformers are asked for by name, as most networks are none.
    """
    methods = ((name, ATTRIBUTIONS[name]) for name in ATTRIBUTIONS)
    return [
        name
        for name, method in methods
        if (references or not method.needs_references)
        and (transformers or not method.for_transformers)
        and _has_defaults(method)
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


def _as_asked(spec: Any, method: Method) -> tuple[str, Mapping[str, Any]]:
    """A method's registered name, and the options that make it differ from the default."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping):
        ((name, options),) = spec.items()
        return name, options or {}
    names = [name for name in ATTRIBUTIONS if ATTRIBUTIONS[name] is type(method)]
    values = {f.name: (getattr(method, f.name), f.default) for f in fields(method)}
    return (names or [method.label])[0], {k: v for k, (v, d) in values.items() if v is not d}


def _written(options: Mapping[str, Any]) -> str:
    return f"({','.join(f'{key}={value}' for key, value in options.items())})" if options else ""
