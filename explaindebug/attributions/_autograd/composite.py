"""Which rule of layer-wise relevance propagation goes where in a network.

A composite is a list of entries (place, rule). A place is a frozen dataclass: linear operation ->
whether it lies there. The first entry whose place holds an operation gives its rule.
"""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any, ClassVar

from torch import Tensor, nn

from explaindebug.attributions._autograd.backward import Rule
from explaindebug.attributions._autograd.canonizer import KINDS, canonise, is_elementwise, require
from explaindebug.attributions._autograd.graph import Graph, few, op_of
from explaindebug.attributions._autograd.lrp_rules import RULES, LayerRule, z_rule
from explaindebug.attributions._autograd.ops import Linear, Op
from explaindebug.core.errors import ConfigError, UnsupportedModelError

ROOM = 100  # characters of a composite in short
LAYERS = {kind.__name__: kind for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)}


class At(Enum):
    """Places that follow from the network's structure."""

    FIRST = "first"  # next to the image: no linear operation lies before it
    LAST = "last"  # no linear operation lies behind it
    UNRECTIFIED = "unrectified"  # no ReLU lies behind it

    def __call__(self, op: Linear) -> bool:
        marks = {At.FIRST: op.first, At.LAST: op.last, At.UNRECTIFIED: not op.rectified}
        return marks[self]

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class OfClass:
    """Operations of a class of layers, called as a function or as a module, or of a class derived.

    A convolution in two dimensions counts as `nn.Conv2d` whoever calls it, and an operation whose
    weight is held by a module counts as that module's class, too.
    """

    kind: type[nn.Module]

    def __call__(self, op: Linear) -> bool:
        held = op.module_class is not None and issubclass(op.module_class, self.kind)
        return held or issubclass(op.layer, self.kind)

    def __str__(self) -> str:
        return self.kind.__name__


@dataclass(frozen=True)
class Named:
    """Operations whose weight is held by a module of that name: `features.*`, `layer?.0.conv1`."""

    pattern: str

    def __call__(self, op: Linear) -> bool:
        return fnmatchcase(op.module, self.pattern)

    def __str__(self) -> str:
        return self.pattern


Place = At | OfClass | Named
Entry = tuple[Place, LayerRule]


@dataclass(frozen=True)
class Composite(Rule):
    """A rule for each linear operation: that of the first entry whose place holds it.

    `positive` explains what speaks for the class alone: a negative logit starts from zero.

    Normalisation before the first linear operation passes relevance on unchanged: it is the same
    pixel in other units.
    """

    label: str
    entries: tuple[Entry, ...]
    positive: bool = False

    kinds: ClassVar[frozenset[str]] = KINDS

    @property
    def extra(self) -> float:
        """That of the dearest rule for a kind of layers: those are most of the network."""
        by_kind = [rule for place, rule in self.entries if isinstance(place, OfClass)]
        rules = by_kind or [rule for _, rule in self.entries]
        return max(float(getattr(rule, "extra", 0)) for rule in rules)

    def start(self, score: Tensor) -> Tensor:
        return score.clamp(min=0) if self.positive else score

    def check(self, graph: Graph) -> None:
        canonise(graph)
        require(graph, self.label)
        self._locate(graph)
        layers = [op for op in graph.ops if isinstance(op, Linear)]
        if left := dict.fromkeys(_described(op) for op in layers if self.rule_for(op) is None):
            raise UnsupportedModelError(
                f"{self.label} has no rule for {few(list(left))} of {type(graph.model).__name__}: "
                "no entry of its composite matches. Add one for it, or a last one for all layers: "
                "('*', Epsilon())."
            )
        for place, _ in self.entries:
            if _is_about_a_model(place) and not any(map(place, layers)):
                names = list(dict.fromkeys(op.module for op in layers if op.module))
                raise UnsupportedModelError(
                    f"{self.label}: no layer of {type(graph.model).__name__} is {str(place)!r}."
                    f"{_hint(str(place), names)} Its layers: {few(names, 8)}."
                )

    def propagate(self, op: Op, signal: Tensor) -> tuple[Tensor, ...]:
        if isinstance(op, Linear):
            rule = self.rule_for(op)
            assert rule is not None  # `check` has seen to it
            return (rule(op.merged or op, signal),)
        if op.kind == "relu" or op.absorbed or (op.first and is_elementwise(op)):
            return (signal,)
        if op.first and any(place is At.FIRST for place, _ in self.entries):
            return op.vjp(signal)  # such a rule does not look at the input: a share could be R / 0
        return z_rule(op, signal)

    def rule_for(self, op: Linear) -> LayerRule | None:
        """The rule for a linear operation, where there is one."""
        return next((rule for place, rule in self.entries if place(op)), None)

    def _locate(self, graph: Graph) -> None:
        """Finds where operations ran whose weights are no parameters, if that matters."""
        if not any(_is_about_a_model(place) for place, _ in self.entries):
            return
        left = {node: op for node in graph.nodes if isinstance(op := op_of(node), Linear)}
        if any(op.module_class is None for op in left.values()):
            modules, known = graph.modules(), dict(graph.model.named_modules())
            for node, op in left.items():
                if op.module_class is None and modules[node] in known:
                    op.module, op.module_class = modules[node], type(known[modules[node]])


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


def _is_about_a_model(place: Place) -> bool:
    """Whether a place is one that only some networks have, so that it must be found there."""
    own = isinstance(place, OfClass) and not any(issubclass(k, place.kind) for k in LAYERS.values())
    return own or isinstance(place, Named)


def _described(op: Linear) -> str:
    return f"{op.module or 'a function'} ({(op.module_class or op.layer).__name__})"


def _hint(place: str, names: list[str]) -> str:
    close = difflib.get_close_matches(place, [*names, *LAYERS, *map(str, At)], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
