"""One forward pass, and for each rule one backward pass."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from explaindebug.attributions._autograd.graph import Graph
from explaindebug.attributions._autograd.inspection import Inspection, require_explained
from explaindebug.attributions._autograd.ops import Op, agree
from explaindebug.attributions._autograd.tape import Tape
from explaindebug.attributions._autograd.wayback import blocked
from explaindebug.attributions._engine.method import Passes
from explaindebug.attributions._engine.targets import explained
from explaindebug.core.errors import ExplainDebugError, UnsupportedModelError


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
        """Raises UnsupportedModelError where the rule doesn't fit the model.

        Besides the rule's own check: where an operation depends on the image in a way that no rule
        sees, and where an operation that was replaced or merged does something else than before.
        """
        super().check(model, images, targets)
        if not self.rule.kinds:
            return  # the gradient, as it is
        inspection = Inspection()
        taped = _Taped(self.rule.kinds, model, images, targets, inspection)
        self.rule.check(taped.graph)
        require_explained(taped.graph, inspection)
        taped.verify(model, targets)


_VERIFIED: WeakKeyDictionary[nn.Module, set[tuple[frozenset[str], torch.Size]]] = (
    WeakKeyDictionary()
)


class _Taped:
    """A forward pass, ready for any rule that treats no other operations than the given kinds."""

    def __init__(
        self,
        kinds: frozenset[str],
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        inspection: Inspection | None = None,
    ) -> None:
        # Not from `self`, which holds the graph: in a cycle, all activations would stay in memory
        # until the collector happens to look.
        tape, x = Tape(kinds), images.detach().clone().requires_grad_()

        def forward(inspection: Inspection | None = None) -> Tensor:
            with tape if kinds else nullcontext(), inspection or nullcontext():
                return explained(model, x, targets)

        self.tape, self.images = tape, x
        self.score = forward(inspection)
        self.graph = Graph(self.score, model, forward)

    def verify(self, model: nn.Module, targets: Tensor) -> None:
        """Compares what was replaced or merged with what ran, by numbers; uses the graph up.

        Raises:
            UnsupportedModelError: where a merged operation has another output than was recorded,
                or where the logit or its gradient is not the model's.
        """
        for op in self.graph.ops:
            op.verify()
        known = _VERIFIED.setdefault(model, set())
        if (asked := (self.tape.kinds, self.images.shape)) in known:
            return
        x = self.images.detach().clone().requires_grad_()
        score = explained(model, x, targets)
        gradients = [torch.autograd.grad(score.sum(), x)[0]]
        try:
            gradients.append(self.back(Rule(), last=True))
        except ExplainDebugError:
            raise
        except Exception as error:
            raise UnsupportedModelError(blocked(type(model).__name__, self.score, error)) from error
        for what, pair in {"logit": (score, self.score), "gradient": gradients}.items():
            if not agree(*pair):
                raise UnsupportedModelError(
                    f"{type(model).__name__} gives another {what} when its operations "
                    f"({', '.join(sorted(self.tape.kinds))}) are followed one by one, so one of "
                    "them is not what its name says. Leave the method out for this model."
                )
        known.add(asked)

    def back(self, rule: Rule, *, last: bool) -> Tensor:
        """The signal at the images under a rule; after the last one the graph is gone."""

        def propagate(op: Op, signal: Tensor) -> tuple[Tensor, ...]:
            return rule.propagate(op, signal) if op.kind in rule.kinds else op.vjp(signal)

        self.tape.propagate = propagate
        start = rule.start(self.score.detach())
        return torch.autograd.grad(self.score, self.images, start, retain_graph=not last)[0]
