"""Relevance by LXT for torchvision's ViT, written to a file: `python lxt_reference.py FILE`.

A script of its own, as LXT and its changes to zennit replace methods of torch's classes.
"""

import json
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from transformer_networks import made, pictures, torchvision_vit

# What LXT loads for language models needs a transformers of one version; nothing of it is used.
models = ModuleType("lxt.efficient.models")
models.get_default_map = lambda module: None  # type: ignore[attr-defined]
sys.modules["lxt.efficient.models"] = models
from lxt.efficient import monkey_patch_zennit, patches  # type: ignore[import-not-found]  # noqa: E402
from zennit.composites import LayerMapComposite  # type: ignore[import-untyped]  # noqa: E402
from zennit.rules import Gamma  # type: ignore[import-untyped]  # noqa: E402

TARGETS = torch.tensor([2, 0, 4])


def main(file: str) -> None:
    model = made(torchvision_vit).double()
    found = {"epsilon": by_lxt(model)}
    monkey_patch_zennit()
    rules = [(nn.Conv2d, Gamma(0.25, 1e-12)), (nn.Linear, Gamma(0.25, 1e-12))]
    LayerMapComposite(rules).register(model)
    found["gamma"] = by_lxt(model)
    Path(file).write_text(json.dumps({name: maps.tolist() for name, maps in found.items()}))


def by_lxt(model: nn.Module) -> Tensor:
    x = pictures().double().requires_grad_()
    score = model(x).gather(1, TARGETS[:, None]).sum()
    return (x * torch.autograd.grad(score, x)[0]).detach()


if __name__ == "__main__":
    patches.patch_method(patches.non_linear_forward, nn.GELU, keep_original=True)
    patches.patch_method(patches.layer_norm_forward, nn.LayerNorm)
    attention = patches.cp_multi_head_attention_forward
    patches.patch_method(attention, nn.MultiheadAttention, keep_original=True)
    main(sys.argv[1])
