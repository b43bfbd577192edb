"""Small transformers of every make, for images of 16 px in patches of 4."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import Tensor, nn

SIDE, PATCH, WIDTH, HEADS, DEPTH, CLASSES = 16, 4, 8, 2, 3, 5
GRID = SIDE // PATCH

How = Literal["softmax", "fused", "module"]


class Attention(nn.Module):
    """The same attention, written out, in one piece, or as torch's module."""

    def __init__(self, how: How) -> None:
        super().__init__()
        self.how = how
        self.inside = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "module":
            return self.inside(x, x, x, need_weights=False)[0]  # type: ignore[no-any-return]
        qkv = F.linear(x, self.inside.in_proj_weight, self.inside.in_proj_bias)
        q, k, v = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        if self.how == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = F.dropout((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1), 0.1, self.training) @ v
        return self.inside.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, how: How) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), Attention(how)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Tiny(nn.Module):
    """A ViT with some tokens before the grid's, of which the first is read, or with none.

    Without a convolution, patches are unfolded.
    """

    def __init__(
        self, how: How = "softmax", first: int = 1, depth: int = DEPTH, conv: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, PATCH, PATCH) if conv else None
        self.embed = None if conv else nn.Linear(3 * PATCH**2, WIDTH)
        self.first = nn.Parameter(torch.randn(1, first, WIDTH))
        self.blocks = nn.ModuleList(Block(how) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def tokens(self, images: Tensor) -> Tensor:
        if self.conv is not None:
            x = self.conv(images).flatten(2).transpose(1, 2)
        else:
            assert self.embed is not None
            x = self.embed(F.unfold(images, PATCH, stride=PATCH).transpose(1, 2))
        return torch.cat([self.first.expand(len(x), -1, -1), x], 1)

    def read(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.head(x[:, 0] if self.first.numel() else x.mean(1))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        return self.read(x)


class Encoder(nn.Module):
    """nn.TransformerEncoder, with the norm before or after, images in the first axis or second."""

    def __init__(self, *, norm_first: bool = False, batch_first: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 16, batch_first=batch_first, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False)
        self.head, self.axis = nn.Linear(WIDTH, CLASSES), 1 if batch_first else 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).flatten(2).movedim(2, self.axis)
        return self.head(self.encoder(x).mean(self.axis))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Attention with a layer each for queries, keys and values, as in Hugging Face's library."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.dropout = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        shape = (len(x), -1, HEADS, WIDTH // HEADS)
        q, k, v = (f(x).view(shape).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(2, 3)) * shape[-1] ** -0.5
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
        mixed = torch.matmul(self.dropout(weights), v).transpose(1, 2).contiguous()
        return mixed.reshape(*x.shape[:2], WIDTH)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.output = SelfAttention(), nn.Linear(WIDTH, WIDTH)
        self.layernorm_before, self.layernorm_after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.dense = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.output(self.attention(self.layernorm_before(x))) + x
        return self.dense(self.layernorm_after(hidden)) + hidden  # type: ignore[no-any-return]


class HuggingFaceLike(nn.Module):
    """A ViT in the layout of Hugging Face's library."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.layer = nn.ModuleList(Layer() for _ in range(DEPTH))
        self.layernorm, self.classifier = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.projection(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        for layer in self.layer:
            x = layer(x)
        return self.classifier(self.layernorm(x)[:, 0, :])  # type: ignore[no-any-return]


def torchvision_vit() -> nn.Module:
    return tv.VisionTransformer(SIDE, PATCH, DEPTH, HEADS, WIDTH, 16, num_classes=CLASSES)


def timm(name: str) -> Callable[[], nn.Module]:
    """A small one of a timm network's kind."""
    shape: dict[str, Any] = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH}
    shape |= {"depth": DEPTH, "num_heads": HEADS, "num_classes": CLASSES}
    return lambda: pytest.importorskip("timm").create_model(name, **shape)


# Network -> what is told of its tokens
NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "written out": (Tiny, "17 tokens, 3 blocks, the first token read"),
    "fused": (lambda: Tiny("fused"), "17 tokens, 3 blocks, the first token read"),
    "module": (lambda: Tiny("module"), "17 tokens, 3 blocks, the first token read"),
    "no class token": (lambda: Tiny(first=0), "16 tokens, 3 blocks, all tokens read"),
    "unfolded": (lambda: Tiny(first=4, conv=False), "20 tokens, 3 blocks, the first token read"),
    "encoder": (Encoder, "16 tokens, 3 blocks, all tokens read"),
    "encoder, norm first": (lambda: Encoder(norm_first=True),
                            "16 tokens, 3 blocks, all tokens read"),
    "encoder, images second": (lambda: Encoder(batch_first=False),
                               "16 tokens, 3 blocks, all tokens read"),
    "hugging face": (HuggingFaceLike, "17 tokens, 3 blocks, the first token read"),
    "torchvision": (torchvision_vit, "17 tokens, 3 blocks, the first token read"),
    "timm": (timm("vit_tiny_patch16_224"), "17 tokens, 3 blocks, the first token read"),
    "distilled": (timm("deit_tiny_distilled_patch16_224"), "18 tokens, 3 blocks, 2 tokens read"),
    "registers": (timm("vit_small_patch14_reg4_dinov2"),
                  "21 tokens, 3 blocks, the first token read"),
    "registers, mean": (timm("vit_betwixt_patch16_reg4_gap_256"),
                        "20 tokens, 3 blocks, 16 tokens read"),
}  # fmt: skip


def made(make: Callable[[], nn.Module]) -> nn.Module:
    """With weights of the size of trained ones, so that no layer passes next to nothing on."""
    torch.manual_seed(0)
    model = make().eval()
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.6)
        elif "ls" in name.split(".")[-2]:
            nn.init.ones_(weight)  # a scale of layers, which timm starts near zero
    return model


def pictures(n: int = 3) -> Tensor:
    return torch.randn(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
