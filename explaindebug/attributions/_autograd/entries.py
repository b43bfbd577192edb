"""The entries of a composite as a user writes them, and in short."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import accumulate
from typing import Any

from torch import nn

from explaindebug.attributions._autograd.composite import Entry
from explaindebug.attributions._autograd.lrp_rules import RULES, LayerRule
from explaindebug.attributions._autograd.places import LAYERS, At, Named, OfClass, Place
from explaindebug.core.errors import ConfigError

ROOM = 100  # characters of a composite in short


def entries_of(composite: Any) -> tuple[Entry, ...]:
    """The entries that a user means.

    Args:
        composite: pairs of a place and a rule, {place: rule}, or a list of these. A place is a
            class of layers (also by its name: `Conv2d`), `first`, `last`, `unrectified`, or else
            the name of a layer with the wildcards * ? [ ]. A rule is one, or its name, alone or
            with its options.

    Raises:
        ConfigError: for what is none of these.
    """
    found: list[Entry] = []
    if isinstance(composite, Mapping):
        found += [(_place(place), _rule(rule)) for place, rule in composite.items()]
    elif isinstance(composite, Sequence) and not isinstance(composite, str):
        for part in composite:
            if isinstance(part, Mapping):
                found += entries_of(part)
            elif isinstance(part, Sequence) and not isinstance(part, str) and len(part) == 2:
                found.append((_place(part[0]), _rule(part[1])))
            else:
                raise ConfigError(f"an entry of a composite is (place, rule), got {part!r}.")
    if not found:
        raise ConfigError(
            f"a composite is a list of places and rules, got {composite!r}. Write "
            "[(nn.Conv2d, Gamma(0.25)), (nn.Linear, Epsilon(1e-6))], or in YAML "
            "[{Conv2d: {gamma: 0.25}}, {Linear: {epsilon: 1e-6}}]."
        )
    return tuple(found)


def written(entries: Sequence[Entry]) -> dict[str, str]:
    """The entries in short, for keys: `{"Conv2d": "Gamma(0.25)"}`, defaults left out.

    Of long composites (names of files have an end) the first entries, and a digest of all.
    """
    short = {str(place): _in_short(rule) for place, rule in entries}
    lengths = accumulate(len(place) + len(rule) + 2 for place, rule in short.items())
    kept = {place: short[place] for place, end in zip(short, lengths, strict=True) if end <= ROOM}
    if len(kept) == len(short):
        return short
    digest = hashlib.blake2b(repr(list(short.items())).encode(), digest_size=4).hexdigest()
    return {**kept, "more": digest}


def _in_short(rule: Any) -> str:
    if not is_dataclass(rule):
        return str(getattr(rule, "__name__", type(rule).__name__))
    values = [(getattr(rule, field.name), field.default) for field in fields(rule)]
    while values and values[-1][0] == values[-1][1]:
        values.pop()
    said = ",".join(f"{v:g}" if isinstance(v, float) else f"{v}" for v, _ in values)
    return f"{type(rule).__name__}({said})" if said else type(rule).__name__


def _place(place: Any) -> Place:
    if isinstance(place, type) and issubclass(place, nn.Module):
        return OfClass(place)
    if isinstance(place, At | OfClass | Named):
        return place
    if not isinstance(place, str):
        raise ConfigError(
            f"a place is a class of layers, {', '.join(map(repr, map(str, At)))}, or the name of a "
            f"layer, got {place!r}."
        )
    if place in LAYERS:
        return OfClass(LAYERS[place])
    return At(place) if place in set(map(str, At)) else Named(place)


def _rule(rule: Any) -> LayerRule:
    """A rule by its name, with its options or the values of the first ones: {gamma: 0.25}."""
    if isinstance(rule, Mapping) and len(rule) == 1:
        ((name, options),) = rule.items()
        if options is not None and not isinstance(options, Mapping):
            values = options if isinstance(options, list | tuple) else [options]
            names = [field.name for field in fields(RULES[name])]  # type: ignore[arg-type]
            if len(values) > len(names):
                raise ConfigError(
                    f"LRP rule {name!r} takes {len(names)} values ({', '.join(names) or 'none'}), "
                    f"got {len(values)}."
                )
            rule = {name: dict(zip(names, values, strict=False))}
    built = RULES.build(rule)
    if isinstance(built, type) or not callable(built):
        raise ConfigError(f"a rule is one like Epsilon(1e-6), or {{epsilon: 1e-6}}, got {rule!r}.")
    try:
        hash(built)
    except TypeError:
        raise ConfigError(
            f"a rule must be hashable, as equal ones share their passes: make {built!r} a frozen "
            "dataclass."
        ) from None
    return built  # type: ignore[no-any-return]
