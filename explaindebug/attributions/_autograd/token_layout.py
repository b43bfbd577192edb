"""Where the tokens of a transformer lie in the image, which are read, and where its blocks end.

All of it is found with one image, from what the network computes: modules need not be known.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from explaindebug.attributions._autograd.attention_watch import AttentionWatch, Junction, Made
from explaindebug.attributions._autograd.graph import Node, nodes_of, sources
from explaindebug.attributions._autograd.ops import agree
from explaindebug.attributions._engine.targets import logits_of
from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import frozen

FIRST = 16  # tokens before a small grid, at most: class, distillation, registers
REMEDY = "Leave the method out for this model, or use gradcam, occlusion or gradients."


class Layout(NamedTuple):
    """What there is to know about a network's tokens, for images of one size."""

    blocks: int
    heads: int  # of the first block
    tokens: int
    side: int  # of the grid that the last tokens form
    read: tuple[int, ...]  # tokens after the last attention that the logits depend on
    junctions: tuple[Junction, ...]  # the end of each block; empty if that can't be found

    @property
    def first(self) -> int:
        """Tokens before the grid's."""
        return self.tokens - self.side**2

    def grid(self, x: Tensor) -> Tensor:
        """Values (n, tokens) as (n, side, side), without those before the grid's."""
        return x[:, self.first :].reshape(len(x), self.side, self.side)

    def per_image(self, weights: Tensor, n: int) -> Tensor:
        """Attention of n images as (n, heads, tokens, tokens)."""
        return weights.reshape(n, -1, self.tokens, self.tokens)

    def __str__(self) -> str:
        read = f"{len(self.read)} tokens"
        if len(self.read) == self.tokens:
            read = "all tokens"
        elif len(self.read) == 1:
            read = "the first token" if self.read == (0,) else f"token {self.read[0]}"
        grid = f"{self.side} x {self.side} of {self.tokens} tokens"
        return f"{grid}, {self.blocks} blocks, {read} read"


_KNOWN: WeakKeyDictionary[nn.Module, dict[torch.Size, Layout]] = WeakKeyDictionary()


def layout_of(model: nn.Module, image: Tensor) -> Layout:
    """The layout for an image (1, c, h, w); costs two forward passes, once per image size.

    The model must be in eval mode, and gradients on.

    Raises:
        UnsupportedModelError: for a network without attention between all tokens of an image, for
            tokens that are no square grid, and where attention can't be replaced by single
            operations.
    """
    known = _KNOWN.setdefault(model, {})
    if image.shape not in known:
        known[image.shape] = _found(model, image)
    return known[image.shape]


def _found(model: nn.Module, image: Tensor) -> Layout:
    name, x = type(model).__name__, image.detach().clone().requires_grad_()
    with frozen(model), AttentionWatch(verify=True) as watch:
        logits = logits_of(model, x)
    shapes = [weights.shape for weights in watch.weights]
    tokens = _tokens(name, shapes)
    side = _side(name, tokens, watch.made, x.shape[2:])
    with torch.no_grad():
        plain = logits_of(model, image)
    if not agree(logits, plain):
        raise UnsupportedModelError(
            f"{name} has other logits when its attention is computed in single operations: it "
            f"doesn't do what its name says. {REMEDY}"
        )
    junctions = _junctions(nodes_of(logits), watch, tokens)
    read = _read(name, logits, watch.weights[-1], tokens)
    return Layout(len(shapes), math.prod(shapes[0][:-2]), tokens, side, read, junctions)


def _tokens(name: str, shapes: Sequence[torch.Size]) -> int:
    """The number of tokens, the same for all blocks."""
    if not shapes:
        raise UnsupportedModelError(
            f"{name} has no attention, or none that can be seen: softmax(q k^T) v, "
            f"F.scaled_dot_product_attention or nn.MultiheadAttention. {REMEDY}"
        )
    for shape in shapes:
        if len(shape) > 4 or (len(shape) == 4 and shape[0] != 1):
            raise UnsupportedModelError(
                f"{name} attends within windows, {tuple(shape)} for one image, but maps of "
                f"attention need it between all tokens. {REMEDY}"
            )
        if shape[-1] != shape[-2]:
            raise UnsupportedModelError(
                f"{name} attends from {shape[-2]} to {shape[-1]} tokens, but maps of attention "
                f"need it from all tokens to all. {REMEDY}"
            )
    counts = list(dict.fromkeys(shape[-1] for shape in shapes))
    if len(counts) > 1:
        raise UnsupportedModelError(
            f"{name} has {', then '.join(map(str, counts))} tokens, but maps of attention need the "
            f"same in all blocks. {REMEDY}"
        )
    return counts[0]


def _side(name: str, tokens: int, made: Sequence[Made], image: torch.Size) -> int:
    """The side of the grid: that of a convolution, else the largest square of the last tokens."""
    grids = dict.fromkeys(
        (m.shape[2], m.shape[3]) for m in made if m.name == "conv2d" and len(m.shape) == 4
    )
    fits = [(h, w) for h, w in grids if 0 <= tokens - h * w < max(h * w, FIRST + 1)]
    seen = ", ".join(f"{h} x {w}" for h, w in grids)
    if grids and not fits:
        raise UnsupportedModelError(
            f"{name} has {tokens} tokens, which are no grid of its convolutions ({seen}). {REMEDY}"
        )
    height, width = max(fits, key=math.prod) if fits else (math.isqrt(tokens),) * 2
    if height != width or (not fits and image[0] != image[1]):
        shape = f"{height} x {width}" if fits else f"{tokens} tokens"
        raise UnsupportedModelError(
            f"{name} has a grid of {shape} for images of {image[0]} x {image[1]}, but maps of "
            f"attention need a square one: crop or pad the images to a square. {REMEDY}"
        )
    return height


def _read(name: str, logits: Tensor, weights: Tensor, tokens: int) -> tuple[int, ...]:
    """The tokens after the last attention on which the logits depend, whatever the weights.

    NaN times zero is NaN: as a gradient, it arrives wherever there is a path to the logits.
    """
    nan = torch.full_like(logits, torch.nan)
    with torch.autograd.set_detect_anomaly(False):
        (found,) = torch.autograd.grad(logits, weights, nan, allow_unused=True)
    rows = [] if found is None else found.reshape(-1, tokens, tokens).isnan().any(2).any(0)
    read = tuple(row for row, is_read in enumerate(rows) if is_read)
    if not read:
        raise UnsupportedModelError(
            f"the logits of {name} don't depend on the last attention. {REMEDY}"
        )
    return read


def _junctions(nodes: Sequence[Node], watch: AttentionWatch, tokens: int) -> tuple[Junction, ...]:
    """The end of each block: the last tensor that all paths pass before the next attention.

    After the last block it is the one that corresponds: the sum, not what a final norm makes of it.
    """
    place = {node: i for i, node in enumerate(nodes)}
    cuts = _cuts(nodes)
    streams: dict[Node, Made] = {}
    for made in watch.made:
        if made.node in cuts and _axis(made, tokens) is not None:
            streams.setdefault(made.node, made)
    starts = [place.get(weights.grad_fn, -1) for weights in watch.weights]
    spans = pairwise([*starts, len(nodes)])
    *inner, last = [[m for node, m in streams.items() if a < place[node] < b] for a, b in spans]
    ordinals = {len(block) for block in inner} or {len(last)}
    ordinal = min(ordinals)
    if len(ordinals) > 1 or not 0 < ordinal <= len(last):
        return ()
    ends = [*(block[-1] for block in inner), last[ordinal - 1]]
    if len({(end.name, _axis(end, tokens)) for end in ends}) > 1:
        return ()
    return tuple(Junction(m.number, m.name, _axis(m, tokens) or 0) for m in ends)


def _axis(made: Made, tokens: int) -> int | None:
    """Where the images are if this is one vector for each token."""
    if len(made.shape) != 3:
        return None
    return {(1, tokens): 0, (tokens, 1): 1}.get((made.shape[0], made.shape[1]))


def _cuts(nodes: Sequence[Node]) -> set[Node]:
    """The operations that all paths from the image to the end pass, by counting paths."""
    before: dict[Node, int] = {}
    for node in nodes:
        before[node] = sum(before[source] for source in sources(node)) or 1
    behind = dict.fromkeys(nodes, 0)
    behind[nodes[-1]] = 1
    for node in reversed(nodes):
        for source in sources(node):
            behind[source] += behind[node]
    return {node for node in nodes if before[node] * behind[node] == before[nodes[-1]]}
