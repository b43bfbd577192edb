"""Attention in torch's own operations, one by one, so that its weights have a place in the graph.

torch computes attention in one piece: the graph has a single node for it, and the weights are in
none of its tensors. These functions take the arguments of torch's and return the same output, and
with it the weights.
"""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explaindebug.core.errors import UnsupportedModelError

SIGNATURE = inspect.signature(F.multi_head_attention_forward)
EXTRA = ("bias_k", "bias_v", "static_k", "static_v", "add_zero_attn")
TOLERANCE = 1e-5  # of the largest value, between attention in one piece and in single operations


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """The output (..., q, d) and weights (..., q, k) of `F.scaled_dot_product_attention`."""
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        later = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = scores.softmax(-1)
    return F.dropout(weights, dropout_p) @ value, weights


def multi_head(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None, Tensor]:
    """The outputs of `F.multi_head_attention_forward`, and the weights (n, heads, q, k).

    The first is (q, n, c), the second what the caller asked for: the mean over heads, or None.

    Raises:
        UnsupportedModelError: for keys and values that are not computed from tokens, and for
            tokens (q, c) without an axis for images.
    """
    call = SIGNATURE.bind(*args, **kwargs)
    call.apply_defaults()
    given: dict[str, Any] = call.arguments
    used = [name for name in EXTRA if given[name] is not None and given[name] is not False]
    if used or given["query"].ndim != 3:
        what = used[0] if used else f"tokens {tuple(given['query'].shape)}, no batch of them,"
        raise UnsupportedModelError(
            f"multi-head attention with {what} has no weights between all tokens of an image. "
            "Leave the method out for this model."
        )
    heads = given["num_heads"]
    query, key, value = (_in_heads(x, heads) for x in _projected(given))
    dropout = given["dropout_p"] if given["training"] else 0.0
    output, weights = attend(query, key, value, _mask(given, len(query), heads), dropout)
    joined = output.permute(2, 0, 1, 3).flatten(2)
    output = F.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
    if not given["need_weights"]:
        return output, None, weights
    return output, weights.mean(1) if given["average_attn_weights"] else weights, weights


def require_equal(found: Tensor, expected: Tensor) -> None:
    """Raises UnsupportedModelError unless both are equal up to rounding."""
    size = expected.detach().abs().max()
    gap = (found.detach() - expected.detach()).abs().max() / size.clamp(min=1e-30)
    if gap > TOLERANCE:
        raise UnsupportedModelError(
            f"attention in single operations differs from the model's own by {float(gap):.2g} of "
            f"the largest output, more than {TOLERANCE:g}. Leave the method out for this model."
        )


def _projected(given: dict[str, Any]) -> list[Tensor]:
    """Queries, keys and values (tokens, n, c)."""
    if given["use_separate_proj_weight"]:
        weights = [given[f"{name}_proj_weight"] for name in "qkv"]
    else:
        weights = list(given["in_proj_weight"].chunk(3))
    bias = given["in_proj_bias"]
    biases = [None] * 3 if bias is None else bias.chunk(3)
    tokens = (given["query"], given["key"], given["value"])
    return [F.linear(*one) for one in zip(tokens, weights, biases, strict=True)]


def _in_heads(x: Tensor, heads: int) -> Tensor:
    """(tokens, n, c) as (n, heads, tokens, c / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _mask(given: dict[str, Any], n: int, heads: int) -> Tensor | None:
    """What is added to the scores (n, heads, q, k); here true means left out."""
    total = None
    for name in ("attn_mask", "key_padding_mask"):
        mask = given[name]
        if mask is None:
            continue
        if mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=given["query"].dtype).masked_fill(mask, -torch.inf)
        if name == "key_padding_mask":
            mask = mask[:, None, None]
        elif mask.ndim == 3:
            mask = mask.unflatten(0, (n, heads))
        total = mask if total is None else total + mask
    return total
