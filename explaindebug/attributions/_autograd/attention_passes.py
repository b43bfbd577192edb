"""One forward pass with its attention, for all methods that read maps from it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from explaindebug.attributions._autograd.attention_watch import AttentionWatch
from explaindebug.attributions._autograd.ops import agree
from explaindebug.attributions._autograd.token_layout import REMEDY, Layout, layout_of
from explaindebug.attributions._engine.inputs import survey
from explaindebug.attributions._engine.method import Passes
from explaindebug.attributions._engine.targets import explained, score
from explaindebug.core.errors import ExplainDebugError, UnsupportedModelError
from explaindebug.core.isolation import frozen


class Attended:
    """The attention of all blocks in one forward pass of n images, first block first.

    Args:
        layout: of the tokens.
        watch: after the pass.
        scores: (1, n), or (blocks + 1, n) where those that each block yields come first.
    """

    def __init__(self, layout: Layout, watch: AttentionWatch, scores: Tensor) -> None:
        self.layout = layout
        self.scores = scores
        self._watch, self._n = watch, scores.shape[-1]

    @property
    def weights(self) -> list[Tensor]:
        """Those of each block, (n, heads, tokens, tokens): from a row's token to a column's."""
        return [self._per_image(weights.detach()) for weights in self._watch.weights]

    def gradients(self) -> list[Tensor]:
        """Those of the score with respect to the weights, of the same shapes."""
        score = self.scores[-1].sum()
        found = torch.autograd.grad(score, self._watch.weights, retain_graph=True)
        return [self._per_image(gradient) for gradient in found]

    def gradients_within(self) -> list[Tensor]:
        """Those of the score that a block's mean token yields with respect to its own weights."""
        joined, axis = self._watch.joined, self.layout.junctions[0].axis
        assert joined is not None  # as the reading asked for it
        (signal,) = torch.autograd.grad(self.scores[:-1].sum(), joined, retain_graph=True)
        *signals, _ = signal.chunk(len(self.scores), axis)
        blocks = zip(self._watch.pooled, self._watch.weights, signals, strict=True)
        found = (torch.autograd.grad(x, a, g, retain_graph=True)[0] for x, a, g in blocks)
        return [self._per_image(gradient) for gradient in found]

    def _per_image(self, weights: Tensor) -> Tensor:
        return self.layout.per_image(weights, self._n)


class Reading(ABC):
    """How maps are read from attention. A frozen dataclass: equal readings share one pass."""

    within: ClassVar[bool] = False  # whether it needs the score that each block yields
    reach: ClassVar[float] = 0.0  # how far a signal goes back, as a share of a backward pass

    @abstractmethod
    def tokens(self, attended: Attended) -> Tensor:
        """What each token counts, (n, tokens)."""


@dataclass(frozen=True)
class Attention(Passes):
    """Maps (n, side, side) of the grid of tokens; all readings share the forward pass."""

    reading: Reading

    together: ClassVar[bool] = True

    @property
    def calls(self) -> tuple[float, float]:
        return 1.0, self.reading.reach

    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Tensor:
        return self.run_together([self], model, images, targets)[0]

    @classmethod
    def run_together(
        cls,
        group: Sequence["Attention"],
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        batch: int = 32,
    ) -> list[Tensor]:
        within = any(passes.reading.within for passes in group)
        attended = _attended(model, images, targets, within=within)
        return [attended.layout.grid(passes.reading.tokens(attended)) for passes in group]

    def check(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        """Raises UnsupportedModelError if there is no attention between all tokens of an image.

        Also if attention can't be replaced by single operations, or, where scores of blocks are
        needed, these have none.
        """
        if obstacle := survey(model, images).obstacle:
            raise UnsupportedModelError(obstacle)
        layout = layout_of(model, images)
        if self.reading.within:
            _require_blocks(layout, model, images, targets)

    def taken(self, model: nn.Module, images: Tensor) -> str:
        """The tokens: `8 x 8 of 65 tokens, 4 blocks, the first token read`."""
        return str(layout_of(model, images[:1]))


def _attended(model: nn.Module, images: Tensor, targets: Tensor, *, within: bool) -> Attended:
    layout, x = layout_of(model, images[:1]), images.detach().clone().requires_grad_()
    if not within:
        with frozen(model), AttentionWatch() as watch:
            scores = explained(model, x, targets)[None]
        return Attended(layout, watch, scores)
    with frozen(model), AttentionWatch(junctions=layout.junctions) as watch:
        logits = model(x.clone())
    scores = score(logits, targets.repeat(layout.blocks + 1))
    return Attended(layout, watch, scores.reshape(layout.blocks + 1, -1))


def _require_blocks(layout: Layout, model: nn.Module, images: Tensor, targets: Tensor) -> None:
    """Raises UnsupportedModelError if the score can't be read after each block."""
    name = type(model).__name__
    if not layout.junctions:
        raise UnsupportedModelError(
            f"{name} has no tokens {(layout.tokens, 'c')} that all that follows depends on after "
            f"each of its {layout.blocks} blocks, so these yield no score. {REMEDY}"
        )
    try:
        last = _attended(model, images, targets, within=True).scores[-1]
    except ExplainDebugError:
        raise
    except Exception as error:
        raise UnsupportedModelError(
            f"what follows the blocks of {name} can't be run for each of them "
            f"({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    if not agree(last, explained(model, images, targets)):
        raise UnsupportedModelError(
            f"{name} has another logit when what follows its {layout.blocks} blocks is run for "
            f"each of them. {REMEDY}"
        )
