"""Rollout, GradAttn and LeGrad: closed forms, every make of transformer, and what is refused."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.swin_transformer import SwinTransformer
from transformer_networks import (
    CLASSES,
    DEPTH,
    GRID,
    NETWORKS,
    PATCH,
    SIDE,
    WIDTH,
    Block,
    Tiny,
    made,
    pictures,
    timm,
    torchvision_vit,
)

from explaindebug.attributions import ATTRIBUTIONS, Plan, all_zero, attribute, not_finite
from explaindebug.attributions._autograd import attention_watch
from explaindebug.attributions._autograd.token_layout import layout_of
from explaindebug.attributions._engine.specs import all_names
from explaindebug.attributions.gradattn import GradientAttention
from explaindebug.attributions.legrad import LeGrad
from explaindebug.attributions.rollout import Rollout
from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import frozen, watch

METHODS = {"rollout": Rollout(), "gradattn": GradientAttention(), "legrad": LeGrad()}
TARGETS = torch.tensor([2, 0, 4])


def on_grid(tokens: Tensor) -> Tensor:
    """One number for each token (n, tokens), as a map in blocks of pixels."""
    blocks = tokens[:, -(GRID**2) :].view(-1, 1, GRID, GRID)
    return blocks.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3).expand(-1, 3, -1, -1)


def exact(found: Tensor, expected: Tensor) -> None:
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, on_grid(expected), rtol=0, atol=1e-9)


class Walk:
    """A tiny transformer walked through by hand: each block's attention, and its tokens."""

    def __init__(self, model: Tiny, images: Tensor) -> None:
        self.model = model
        self.attention: list[Tensor] = []
        self.tokens: list[Tensor] = []
        x = model.tokens(images)
        for block in model.blocks:
            x = self._through(block, x)  # type: ignore[arg-type]
            self.tokens.append(x)

    def _through(self, block: Block, x: Tensor) -> Tensor:
        inside = block.attention.inside
        qkv = F.linear(block.norm1(x), inside.in_proj_weight, inside.in_proj_bias)
        q, k, v = qkv.unflatten(2, (3, inside.num_heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (torch.einsum("nhid,nhjd->nhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        self.attention.append(weights)
        mixed = torch.einsum("nhij,nhjd->nihd", weights, v).flatten(2)
        x = x + inside.out_proj(mixed)
        return x + block.mlp(block.norm2(x))

    def score(self, tokens: Tensor) -> Tensor:
        return self.model.read(tokens).gather(1, TARGETS[:, None]).sum()

    def yielded(self, tokens: Tensor) -> Tensor:
        """The logits of the mean token."""
        return self.model.head(self.model.norm(tokens.mean(1)))  # type: ignore[no-any-return]

    def read(self, relevance: Tensor) -> Tensor:
        return relevance[:, 0] if self.model.first.numel() else relevance.mean(1)


@pytest.fixture(params=[1, 3, 0], ids=["class token", "three tokens", "no class token"])
def walk(request: pytest.FixtureRequest) -> Walk:
    return Walk(made(lambda: Tiny(first=request.param)).double(), pictures().double())


def test_rollout_is_the_product_of_mean_attention_and_identity(walk: Walk) -> None:
    one = torch.eye(walk.attention[0].shape[-1], dtype=torch.float64)
    first, *later = [(a.mean(1) + one) / 2 for a in walk.attention]
    total = first
    for block in later:
        total = block @ total
    torch.testing.assert_close(total.sum(2), torch.ones_like(total[..., 0]))
    exact(Rollout()(walk.model, pictures().double(), TARGETS), walk.read(total).detach())


def test_gradattn_is_the_sum_over_paths_of_positive_weighted_attention(walk: Walk) -> None:
    gradients = torch.autograd.grad(walk.score(walk.tokens[-1]), walk.attention)
    assert all((g < 0).any() for g in gradients)
    one = torch.eye(walk.attention[0].shape[-1], dtype=torch.float64)
    a, b, c = ((w * g).clamp(min=0).mean(1) for w, g in zip(walk.attention, gradients, strict=True))
    paths = (one + c) @ (one + b) @ (one + a) - one
    exact(GradientAttention()(walk.model, pictures().double(), TARGETS), walk.read(paths).detach())


def test_legrad_is_the_positive_gradient_of_what_each_block_yields(walk: Walk) -> None:
    total: Any = 0.0
    for tokens, weights in zip(walk.tokens, walk.attention, strict=True):
        score = walk.yielded(tokens).gather(1, TARGETS[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, weights, retain_graph=True)
        assert (gradient < 0).any()
        total = total + gradient.clamp(min=0).mean((1, 2)) / DEPTH
    exact(LeGrad()(walk.model, pictures().double(), TARGETS), total)


@pytest.mark.parametrize("name", METHODS)
def test_a_pass_that_is_shared_changes_no_map(name: str, walk: Walk) -> None:
    x = pictures().double()
    together = Plan(list(METHODS))(walk.model.float(), x.float(), TARGETS, workers=1)[name]
    alone = METHODS[name](walk.model.double(), x, TARGETS)
    torch.testing.assert_close(together.double(), alone, rtol=1e-4, atol=1e-7)


def test_legrad_is_torchcams() -> None:
    methods = pytest.importorskip("torchcam.methods")
    model, x = made(torchvision_vit).double(), pictures().double()
    with methods.LeGrad(model, list(model.encoder.layers)) as theirs:
        (expected,) = theirs(TARGETS.tolist(), model(x), normalized=False)
    exact(LeGrad()(model, x, TARGETS), expected.flatten(1))


@pytest.mark.parametrize("name", METHODS)
def test_one_block_is_enough(name: str) -> None:
    model, x = made(lambda: Tiny(depth=1)), pictures()
    assert METHODS[name](model, x, TARGETS).any()


# However attention is computed


@pytest.mark.parametrize("how", ["fused", "module"])
@pytest.mark.parametrize("name", METHODS)
def test_fused_attention_has_the_map_of_attention_written_out(name: str, how: Any) -> None:
    maps = []
    for kind in ("softmax", how):
        model = made(lambda kind=kind: Tiny(kind))
        maps.append(METHODS[name](model, pictures(), TARGETS))
    scale = float(maps[0].abs().max())
    torch.testing.assert_close(*maps, rtol=0, atol=1e-5 * scale)


def test_torchvisions_layout_has_the_map_of_timms_with_the_same_weights() -> None:
    mine, other = made(torchvision_vit).double(), made(timm("vit_tiny_patch16_224")).double()
    with torch.no_grad():
        for part in other.state_dict().values():
            part.zero_()
        own: Any = mine
        other.cls_token.copy_(own.class_token)
        other.pos_embed.copy_(own.encoder.pos_embedding)
        other.patch_embed.proj.load_state_dict(own.conv_proj.state_dict())
        for ours, theirs in zip(own.encoder.layers, other.blocks, strict=True):
            theirs.norm1.load_state_dict(ours.ln_1.state_dict())
            theirs.norm2.load_state_dict(ours.ln_2.state_dict())
            theirs.attn.qkv.weight.copy_(ours.self_attention.in_proj_weight)
            theirs.attn.qkv.bias.copy_(ours.self_attention.in_proj_bias)
            theirs.attn.proj.load_state_dict(ours.self_attention.out_proj.state_dict())
            theirs.mlp = ours.mlp
        other.norm.load_state_dict(own.encoder.ln.state_dict())
        other.head.load_state_dict(own.heads.head.state_dict())
    x = pictures().double()
    torch.testing.assert_close(mine(x), other(x))
    for method in METHODS.values():
        torch.testing.assert_close(method(mine, x, TARGETS), method(other, x, TARGETS))


def masked(mask: Tensor | None, causal: bool, how: str) -> Callable[[Tensor], Tensor]:
    """Attention with a mask, of the tokens with themselves."""

    def attend(x: Tensor) -> Tensor:
        if how == "fused":
            return F.scaled_dot_product_attention(x, x, x, mask, is_causal=causal, scale=0.3)
        scores = x @ x.mT * 0.3
        if causal:
            scores = scores + torch.full((x.shape[1], x.shape[1]), -torch.inf).triu(1)
        if mask is not None:
            added = torch.where(mask, 0, -torch.inf) if mask.dtype == torch.bool else mask
            scores = scores + added
        return scores.softmax(-1) @ x

    return attend


@pytest.mark.parametrize(
    ("mask", "causal"),
    [
        (torch.eye(17).roll(1, 0).bool().logical_or(torch.eye(17).bool()), False),
        (torch.linspace(-2, 2, 17), False),
        (None, True),
    ],
)
def test_masks_and_scales_are_part_of_attention(mask: Tensor | None, causal: bool) -> None:
    maps = []
    for how in ("fused", "softmax"):
        model = made(Tiny)
        for block in model.blocks:
            block.attention.forward = masked(mask, causal, how)
        with frozen(model):
            layout_of(model, pictures(1))  # compares with the model's own
        maps.append(Rollout()(model, pictures(), TARGETS))
    torch.testing.assert_close(*maps)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("masks", ["none", "padding", "both", "boolean"])
def test_multi_head_attention_is_torchs(separate: bool, masks: str) -> None:
    torch.manual_seed(0)
    sizes = {"kdim": 6, "vdim": 4} if separate else {}
    module = nn.MultiheadAttention(WIDTH, 2, **sizes).double().eval()
    assert module.in_proj_bias is not None
    nn.init.normal_(module.in_proj_bias)
    q = torch.randn(5, 3, WIDTH).double()
    k, v = (torch.randn(7, 3, sizes.get(d, WIDTH)).double() for d in ("kdim", "vdim"))
    if not separate:
        k = v = q
    tokens = len(k)
    left_out = torch.zeros(3, tokens, dtype=torch.bool)
    left_out[1, 2:] = True
    given: dict[str, Any] = {"key_padding_mask": left_out} if masks != "none" else {}
    if masks == "both":
        given |= {"attn_mask": torch.randn(6, 5, tokens).double()}
        given["key_padding_mask"] = torch.where(left_out, -torch.inf, 0.0).double()
    if masks == "boolean":
        given["attn_mask"] = torch.ones(5, tokens, dtype=torch.bool).triu(1)
    for heads_apart in (False, True):
        how = {"average_attn_weights": not heads_apart}
        with attention_watch.AttentionWatch(verify=True):  # raises if it is not
            found = module(q, k, v, **given, **how)
        for one, two in zip(found, module(q, k, v, **given, **how), strict=True):
            torch.testing.assert_close(one, two)


def test_attention_that_is_not_the_models_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any, **how: Any) -> tuple[Tensor, Tensor]:
        weights = torch.softmax(args[0] @ args[1].mT, -1)  # not scaled
        return weights @ args[2], weights

    monkeypatch.setattr(attention_watch, "attend", wrong)
    with pytest.raises(UnsupportedModelError, match=r"single operations differs .* by 0\.\d+ of"):
        attribute(made(lambda: Tiny("fused")), pictures(), methods="rollout")


# Every make of transformer


@pytest.mark.parametrize("name", NETWORKS)
def test_every_make_of_transformer_has_three_maps(name: str) -> None:
    make, told = NETWORKS[name]
    model, x = made(make), pictures()
    with watch(model) as private:
        plan = Plan(list(METHODS))
        assert not plan.refusals(private, x)
        assert plan.remarks(private, x) == dict.fromkeys(METHODS, f"4 x 4 of {told}")
        maps = plan(private, x, TARGETS)
        (gradient,) = Plan(["grad"])(private, x, TARGETS).values()
    assert gradient.any()
    assert not not_finite(maps)
    assert not all_zero(maps)
    for one in maps.values():
        assert one.min() >= 0
        blocks = one.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH).flatten(4)
        assert torch.equal(blocks.amax(4), blocks.amin(4))
        assert (blocks[:, 0, ..., 0].flatten(1).std(1) > 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_score_is_the_networks_and_the_others_are_what_blocks_yield(name: str) -> None:
    model, x = made(NETWORKS[name][0]).requires_grad_(False), pictures()
    layout = layout_of(model, x[:1])
    with attention_watch.AttentionWatch(junctions=layout.junctions):
        scores = model(x.requires_grad_()).unflatten(0, (DEPTH + 1, len(x)))
    torch.testing.assert_close(scores[-1], model(x), rtol=1e-4, atol=1e-5)
    for one, two in pairwise(scores[:-1]):
        assert not torch.allclose(one, two, atol=1e-3)
    if isinstance(model, Tiny):
        walk = Walk(model, x)
        by_hand = [walk.yielded(tokens) for tokens in walk.tokens]
        torch.testing.assert_close(scores[:-1], torch.stack(by_hand))


@pytest.mark.parametrize("name", ["fused", "encoder", "distilled"])
def test_rollout_is_the_same_for_all_classes_and_the_others_are_not(name: str) -> None:
    model, x = made(NETWORKS[name][0]), pictures()
    one, two = (attribute(model, x, targets=k, methods=list(METHODS)) for k in (0, 1))
    assert torch.equal(one["rollout"], two["rollout"])
    for method in ("gradattn", "legrad"):
        assert (one[method] - two[method]).abs().max() > 0.1 * one[method].max()


def test_rollout_does_not_depend_on_the_head_and_needs_none() -> None:
    model, x = made(Tiny), pictures()
    before = attribute(model, x, targets=0, methods="rollout")["rollout"]
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.norm.weight)
    assert torch.equal(before, attribute(model, x, targets=0, methods="rollout")["rollout"])


def test_a_map_depends_neither_on_its_neighbours_nor_on_workers_and_chunks() -> None:
    model, x = made(lambda: Tiny("module")), pictures(5)
    how: dict[str, Any] = {"methods": list(METHODS), "targets": torch.arange(5)}
    together = attribute(model, x, **how)
    chunked = attribute(model, x, **how, chunk=2, workers=2)
    alone = attribute(model, x[:1], methods=list(METHODS), targets=0)
    for name, maps in together.items():
        close = {"rtol": 0, "atol": 1e-5 * float(maps.max())}
        torch.testing.assert_close(chunked[name], maps, **close)
        torch.testing.assert_close(alone[name], maps[:1], **close)


def operations(run: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_the_forward_pass_is_shared_and_costs_what_is_told() -> None:
    model = made(lambda: tv.VisionTransformer(SIDE, PATCH, 4, 2, 64, 256, num_classes=CLASSES))
    model, x = model.requires_grad_(False), pictures().requires_grad_()
    layout_of(model, x[:1])
    with attention_watch.AttentionWatch():  # torch doesn't count attention in one piece
        forward = operations(lambda: model(x))
    told = {name: sum(method.passes.calls) for name, method in METHODS.items()}
    for name, method in METHODS.items():
        done = operations(lambda method=method: method(model, x, TARGETS))
        assert done / forward == pytest.approx(told[name], rel=0.05), name
    passes = [method.passes for method in METHODS.values()]
    together = operations(lambda: type(passes[0]).run_together(passes, model, x, TARGETS))
    assert together / forward == pytest.approx(sum(told.values()) - 2, rel=0.05)


# What is refused


class Pooled(Tiny):
    """A query of its own attends to the patches."""

    def read(self, x: Tensor) -> Tensor:
        weights = (self.first[:, :1] @ x.mT).softmax(-1)
        return self.head((weights @ x)[:, 0])  # type: ignore[no-any-return]


class Halved(Tiny):
    """A network that merges pairs of tokens after its first block."""

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks[0](self.tokens(images)[:, 1:])
        return self.read(self.blocks[1](x.unflatten(1, (-1, 2)).mean(2)))


class Dense(Tiny):
    """Each block's tokens go on beside the others, so that they have no end."""

    def forward(self, images: Tensor) -> Tensor:
        x = self.tokens(images)
        y = self.blocks[0](x)
        return self.read(self.blocks[1](x * 0.5 + y.tanh()) + x)


class Unread(Tiny):
    """Its last attention leads nowhere."""

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks[0](self.tokens(images))
        self.blocks[1](x)
        return self.read(x)


class Fixed(Tiny):
    """It knows how many images there are."""

    def forward(self, images: Tensor) -> Tensor:
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        return self.read(x.reshape(len(images), 17, WIDTH))


class Channels(nn.Module):
    """Attention between channels, as in XCiT."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 36, 8, 8), nn.Linear(36, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).flatten(2)
        return self.head(((x @ x.mT).softmax(-1) @ x).mean(2))  # type: ignore[no-any-return]


class ExtraKeys(nn.Module):
    """Attention to a key and a value that belong to no token."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Linear(WIDTH, CLASSES)
        self.attention = nn.MultiheadAttention(WIDTH, 2, add_bias_kv=True, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).flatten(2).transpose(1, 2)
        return self.head(self.attention(x, x, x)[0].mean(1))  # type: ignore[no-any-return]


def swin() -> nn.Module:
    return SwinTransformer([4, 4], 8, [1, 1], [2, 2], [2, 2], num_classes=CLASSES)


REFUSED: list[tuple[Callable[[], nn.Module], tuple[int, int], str]] = [
    (lambda: tv.resnet18(num_classes=CLASSES), (SIDE, SIDE), "ResNet has no attention"),
    (swin, (SIDE, SIDE), r"within windows, \(4, 2, 4, 4\) for one image"),
    (Pooled, (SIDE, SIDE), "attends from 1 to 17 tokens"),
    (Halved, (SIDE, SIDE), "Halved has 16, then 8 tokens"),
    (Channels, (SIDE, SIDE), r"36 tokens, which are no grid of its convolutions \(2 x 2\)"),
    (Tiny, (SIDE, 2 * SIDE), "grid of 4 x 8 for images of 16 x 32"),
    (lambda: Tiny(conv=False), (SIDE, 2 * SIDE), "grid of 33 tokens for images of 16 x 32"),
    (Unread, (SIDE, SIDE), "logits of Unread don't depend on the last attention"),
    (ExtraKeys, (SIDE, SIDE), "with bias_k has no weights between all tokens"),
]


@pytest.mark.parametrize(("make", "size", "words"), REFUSED, ids=[words for *_, words in REFUSED])
@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_attention_between_all_tokens_of_a_square_is_refused(
    method: str, make: Callable[[], nn.Module], size: tuple[int, int], words: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=f"{words}.*Leave the method out"):
        attribute(made(make), torch.randn(2, 3, *size), methods=method)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Dense, r"has no tokens \(17, 'c'\) that all that follows depends on"),
        (Fixed, "what follows the blocks of Fixed can't be run for each"),
    ],
)
def test_legrad_refuses_blocks_without_an_end(make: Callable[[], nn.Module], words: str) -> None:
    model, x = made(make), pictures()
    with pytest.raises(UnsupportedModelError, match=words):
        attribute(model, x, methods="legrad")
    maps = attribute(model, x, methods=["rollout", "gradattn"])
    assert not all_zero(maps)


def test_all_means_methods_for_every_network() -> None:
    assert not METHODS.keys() & set(all_names(references=True))
    assert METHODS.keys() <= set(all_names(references=True, transformers=True))
    named = {name for name in ATTRIBUTIONS if ATTRIBUTIONS[name].for_transformers}
    assert named == {*METHODS, "attnlrp"}
