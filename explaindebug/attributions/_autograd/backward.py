"""Backward passes under rules: one forward pass, and one backward pass per rule."""

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
    """How a signal is propagated backward. A frozen dataclass: equal rules share one pass."""

    kinds: ClassVar[frozenset[str]] = frozenset()  # kinds of operations with a rule of their own

    def propagate(self, op: Op, signal: Tensor) -> tuple[Tensor, ...]:
        """The signal for each of the operation's inputs, given the signal for its output."""
        return op.vjp(signal)

    def start(self, score: Tensor) -> Tensor:
        """The signal (n,) at the explained logit (n,)."""
        return torch.ones_like(score)

    @property
    def extra(self) -> float:
        """Work beyond that of a backward pass, in forward passes."""
        return 0.0

    def check(self, graph: Graph) -> None:
        """Raises UnsupportedModelError if the rule can't handle an operation of the graph."""


@dataclass(frozen=True)
class Backward(Passes):
    """The signal (n, c, h, w) at the images under a rule; all rules share the forward pass."""

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
        kinds = {kind for passes in group for kind in passes.rule.kinds}
        taped = _Taped(frozenset(kinds), model, images, targets)
        for passes in group:
            passes.rule.check(taped.graph)
        return [taped.back(passes.rule, last=passes is group[-1]) for passes in group]

    def check(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        """Raises UnsupportedModelError if the rule doesn't fit the model.

        Besides the rule's own check, this is the case if an operation depends on the image in a way
        that rules can't see, or if a replaced or merged operation has another result than before.
        """
        super().check(model, images, targets)
        if not self.rule.kinds:
            return  # the plain gradient
        inspection = Inspection()
        taped = _Taped(self.rule.kinds, model, images, targets, inspection)
        self.rule.check(taped.graph)
        require_explained(taped.graph, inspection)
        taped.verify(model, targets)


_VERIFIED: WeakKeyDictionary[nn.Module, set[tuple[frozenset[str], torch.Size]]] = (
    WeakKeyDictionary()
)


class _Taped:
    """A recorded forward pass, for any rule whose kinds of operations are among those given."""

    def __init__(
        self,
        kinds: frozenset[str],
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        inspection: Inspection | None = None,
    ) -> None:
        # `forward` must not refer to `self`, which holds the graph: as a reference cycle, all
        # activations would stay in memory until the garbage collector runs.
        tape, x = Tape(kinds), images.detach().clone().requires_grad_()

        def forward(inspection: Inspection | None = None) -> Tensor:
            with tape if kinds else nullcontext(), inspection or nullcontext():
                return explained(model, x, targets)

        self.tape, self.images = tape, x
        self.score = forward(inspection)
        self.graph = Graph(self.score, model, forward)

    def verify(self, model: nn.Module, targets: Tensor) -> None:
        """Compare replaced and merged operations numerically with the model; consumes the graph.

        Raises:
            UnsupportedModelError: if a merged operation has another output than was recorded, or if
                the logit or its gradient is not the model's.
        """
        for op in self.graph.ops:
            op.verify()
        known = _VERIFIED.setdefault(model, set())
        key = (self.tape.kinds, self.images.shape)
        if key in known:
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
                    f"{type(model).__name__} has another {what} when its operations "
                    f"({', '.join(sorted(self.tape.kinds))}) are traced one by one, so one of "
                    "them does not do what its name says. Leave the method out for this model."
                )
        known.add(key)

    def back(self, rule: Rule, *, last: bool) -> Tensor:
        """The signal at the images under a rule; `last` frees the graph."""

        def propagate(op: Op, signal: Tensor) -> tuple[Tensor, ...]:
            return rule.propagate(op, signal) if op.kind in rule.kinds else op.vjp(signal)

        self.tape.propagate = propagate
        start = rule.start(self.score.detach())
        return torch.autograd.grad(self.score, self.images, start, retain_graph=not last)[0]
