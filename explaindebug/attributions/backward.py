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

    @property
    def extra(self) -> float:
        """The work of the way back beyond that of a backward pass, in forward passes."""
        return 0.0

    def check(self, graph: Graph) -> None:
        """Raises UnsupportedModelError where an operation of the graph can't be passed."""


@dataclass(frozen=True)
class Backward(Passes):
    """The signal (n, c, h, w) that arrives at the images; all rules share the forward pass."""

    rule: Rule

    together: ClassVar[bool] = True

    @property
    def calls(self) -> tuple[float, float]:
        return 1 + self.rule.extra, 1.0

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
        taped = _Taped(
            frozenset[str]().union(*(p.rule.kinds for p in group)), model, images, targets
        )
        for passes in group:
            passes.rule.check(taped.graph)
        return [taped.back(passes.rule, last=passes is group[-1]) for passes in group]

    def check(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        self.rule.check(_Taped(self.rule.kinds, model, images, targets).graph)


class _Taped:
    """A forward pass, ready for any rule that treats no other operations than the given kinds."""

    def __init__(
        self, kinds: frozenset[str], model: nn.Module, images: Tensor, targets: Tensor
    ) -> None:
        # Not from `self`, which holds the graph: in a cycle, all activations would stay in memory
        # until the collector happens to look.
        tape, x = Tape(kinds), images.detach().clone().requires_grad_()

        def forward() -> Tensor:
            with tape if kinds else nullcontext():
                return explained(model, x, targets)

        self.tape, self.images = tape, x
        self.score = forward()
        self.graph = Graph(self.score, model, forward)

    def back(self, rule: Rule, *, last: bool) -> Tensor:
        """The signal at the images under a rule; after the last one the graph is gone."""

        def propagate(op: Op, signal: Tensor) -> tuple[Tensor, ...]:
            return rule.propagate(op, signal) if op.kind in rule.kinds else op.vjp(signal)

        self.tape.propagate = propagate
        start = rule.start(self.score.detach())
        return torch.autograd.grad(self.score, self.images, start, retain_graph=not last)[0]
