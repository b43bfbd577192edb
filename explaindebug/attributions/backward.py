"""One forward pass, and for each rule one backward pass."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from explaindebug.attributions.graph import Graph
from explaindebug.attributions.method import Passes
from explaindebug.attributions.ops import Op
from explaindebug.attributions.tape import Tape
from explaindebug.attributions.targets import explained


class Rule:
    """How a signal comes back through a network. A frozen dataclass: equal rules are shared."""

    kinds: ClassVar[frozenset[str]] = frozenset()  # the kinds of operations it treats itself

    def propagate(self, op: Op, signal: Tensor) -> tuple[Tensor, ...]:
        """The signal for each of the operation's inputs, given that for its output."""
        return op.vjp(signal)

    def start(self, score: Tensor) -> Tensor:
        """The signal (n,) at the explained logit (n,)."""
        return torch.ones_like(score)

    def check(self, graph: Graph) -> None:
        """Raises UnsupportedModelError where an operation of the graph can't be passed."""


@dataclass(frozen=True)
class Backward(Passes):
    """The signal (n, c, h, w) that arrives at the images; all rules share the forward pass."""

    rule: Rule

    together: ClassVar[bool] = True

    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Tensor:
        return self.run_together([self], model, images, targets)[0]

    @classmethod
    def run_together(
        cls,
        group: Sequence["Backward"],
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        batch: int = 32,
    ) -> list[Tensor]:
        rules = [passes.rule for passes in group]
        tape = Tape(frozenset[str]().union(*(rule.kinds for rule in rules)))
        x = images.detach().clone().requires_grad_()

        def forward() -> Tensor:
            with tape if tape.kinds else nullcontext():
                return explained(model, x, targets)

        score = forward()
        graph = Graph(score, model, forward)
        for rule in rules:
            rule.check(graph)
        return [_signal(tape, rule, score, x, last=rule is rules[-1]) for rule in rules]


def _signal(tape: Tape, rule: Rule, score: Tensor, x: Tensor, *, last: bool) -> Tensor:
    def propagate(op: Op, signal: Tensor) -> tuple[Tensor, ...]:
        return rule.propagate(op, signal) if op.kind in rule.kinds else op.vjp(signal)

    tape.propagate = propagate
    start = rule.start(score.detach())
    return torch.autograd.grad(score, x, start, retain_graph=not last)[0]
