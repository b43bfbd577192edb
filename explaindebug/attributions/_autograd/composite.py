"""Which rule of layer-wise relevance propagation goes where in a network.

A composite is a list of entries (place, rule). The first entry whose place holds a linear operation
gives its rule.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from explaindebug.attributions._autograd.backward import Rule
from explaindebug.attributions._autograd.canonizer import (
    KINDS,
    SIGNED,
    canonise,
    is_elementwise,
    require,
)
from explaindebug.attributions._autograd.graph import Graph, few, op_of
from explaindebug.attributions._autograd.lrp_rules import LayerRule
from explaindebug.attributions._autograd.ops import Linear, Op
from explaindebug.attributions._autograd.places import LAYERS, At, OfClass, Place, is_about_a_model
from explaindebug.attributions._autograd.signal_rules import SIGNAL_RULES, Relevances
from explaindebug.core.errors import UnsupportedModelError

AttentionRule = Literal["cp", "attnlrp"]
Entry = tuple[Place, LayerRule]


@dataclass(frozen=True)
class Composite(Rule):
    """A rule for each linear operation: that of the first entry whose place holds it.

    `positive` explains what speaks for the class alone: a negative logit starts from zero, and the
    network must be one of ReLUs. The weights of attention and gates of sigmoids are constants with
    `cp`, and else factors like others.

    Normalisation before the first linear operation passes relevance on unchanged: it is the same
    pixel in other units.
    """

    label: str
    entries: tuple[Entry, ...]
    positive: bool = False
    attention: AttentionRule = "cp"

    @property
    def kinds(self) -> frozenset[str]:
        return KINDS if self.positive else SIGNED

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
        require(graph, self.label, kinds=self.kinds, constant=self._constant)
        self._locate(graph)
        layers = [op for op in graph.ops if isinstance(op, Linear)]
        if left := dict.fromkeys(_described(op) for op in layers if self.rule_for(op) is None):
            raise UnsupportedModelError(
                f"{self.label} has no rule for {few(list(left))} of {type(graph.model).__name__}: "
                "no entry of its composite matches. Add one for it, or a last one for all layers: "
                "('*', Epsilon())."
            )
        for place, _ in self.entries:
            if is_about_a_model(place) and not any(map(place, layers)):
                names = list(dict.fromkeys(op.module for op in layers if op.module))
                raise UnsupportedModelError(
                    f"{self.label}: no layer of {type(graph.model).__name__} is {str(place)!r}."
                    f"{_hint(str(place), names)} Its layers: {few(names, 8)}."
                )

    def propagate(self, op: Op, signal: Tensor) -> Relevances:
        if isinstance(op, Linear):
            rule = self.rule_for(op)
            assert rule is not None  # `check` has seen to it
            return (rule(op.merged or op, signal),)
        if op.kind == "relu" or op.absorbed or (op.first and is_elementwise(op)):
            return (signal,)
        if op.first and any(place is At.FIRST for place, _ in self.entries):
            return op.vjp(signal)  # such a rule does not look at the input: a share could be R / 0
        return SIGNAL_RULES[op.kind](op, signal, self._constant(op))

    def _constant(self, op: Op) -> frozenset[int]:
        """The inputs that count as constants."""
        return op.fixed | op.gates if self.attention == "cp" else op.fixed

    def rule_for(self, op: Linear) -> LayerRule | None:
        """The rule for a linear operation, where there is one."""
        return next((rule for place, rule in self.entries if place(op)), None)

    def _locate(self, graph: Graph) -> None:
        """Finds where operations ran whose weights are no parameters, if that matters."""
        if not any(is_about_a_model(place) for place, _ in self.entries):
            return
        left = {node: op for node in graph.nodes if isinstance(op := op_of(node), Linear)}
        if any(op.module_class is None for op in left.values()):
            modules, known = graph.modules(), dict(graph.model.named_modules())
            for node, op in left.items():
                if op.module_class is None and modules[node] in known:
                    op.module, op.module_class = modules[node], type(known[modules[node]])


def _described(op: Linear) -> str:
    return f"{op.module or 'a function'} ({(op.module_class or op.layer).__name__})"


def _hint(place: str, names: list[str]) -> str:
    close = difflib.get_close_matches(place, [*names, *LAYERS, *map(str, At)], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
