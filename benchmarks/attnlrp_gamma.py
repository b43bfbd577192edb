"""Which gamma AttnLRP needs: faithfulness of its maps for a trained ViT-S/14 with a linear head.

    python benchmarks/attnlrp_gamma.py --weights dinov2_vits14_fp16.pth --birds DIR --dogs DIR

The head is trained here, on the class token of 60 pictures of each class; 12 others of each are
explained. The weights are those of timm's `vit_small_patch14_dinov2`; a folder has `images`.

* gain: patches are taken away (set to the mean), 8 at a time, the least relevant first, or the most
  relevant first. The mean margin of the first minus that of the second, with its standard error: it
  is 0 on average for a map without information.
* noise: the sum of |R| over the sum of R, in the median.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn

from explaindebug.attributions import Method
from explaindebug.attributions.attnlrp import AttnLRP
from explaindebug.attributions.gradient import InputGradient

SIDE, PATCH, STEP = 112, 14, 8
GRID = SIDE // PATCH
TRAIN, TEST = 60, 12
GAMMAS = {  # of the first layer, and of the others
    "cp": [(0.0, 0.0), (0.25, 0.0), (0.25, 0.05), (0.25, 0.25)],
    "attnlrp": [(0.0, 0.0), (0.25, 0.05)],
}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--weights", "--birds", "--dogs"):
        parser.add_argument(name, type=Path, required=True)
    given = parser.parse_args()
    torch.manual_seed(0)
    files = list(drawn([given.birds, given.dogs]))
    train, test = (torch.stack([picture(f) for part in parts for f in part])
                   for parts in zip(*files, strict=True))  # fmt: skip
    model = network(given.weights, train)
    with torch.no_grad():
        targets = torch.cat([model(x) for x in test.split(TEST)]).argmax(1)
    right = (targets == torch.arange(2).repeat_interleave(TEST)).float().mean()
    print(f"{right:.2f} of {len(test)} pictures are classified correctly")
    methods: dict[str, Method] = {"Input-Grad": InputGradient()}
    for attention, gammas in GAMMAS.items():
        for first, others in gammas:
            key = f"{attention}, gamma {first:g}, gamma_linear {others:g}"
            methods[key] = AttnLRP(attention, first, others)  # type: ignore[arg-type]
    report("random", model, test, targets, torch.randn_like(test), 0)
    for name, method in methods.items():
        begun = time.perf_counter()
        parts = zip(test.split(TEST), targets.split(TEST), strict=True)
        maps = torch.cat([method(model, x, t) for x, t in parts])
        report(name, model, test, targets, maps, time.perf_counter() - begun)


def drawn(folders: list[Path]) -> Iterator[tuple[list[Path], list[Path]]]:
    """Pictures to train on and to explain, of each class."""
    random.seed(0)
    found = [sorted((folder / "images").rglob("*.jpg")) for folder in folders]
    for files in found:
        random.shuffle(files)
        yield files[:TRAIN], files[TRAIN : TRAIN + TEST]


def picture(file: Path) -> Tensor:
    """The middle square, normalised."""
    with Image.open(file) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        middle = image.convert("RGB").crop((left, top, left + side, top + side))
        values = torch.tensor(np.array(middle.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
    return (values.permute(2, 0, 1) / 255 - MEAN[:, None, None]) / STD[:, None, None]


def network(weights: Path, train: Tensor) -> nn.Module:
    """The trained backbone with a head trained on its normalised features."""
    body = timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=SIDE).eval()
    state = {k: v.float() for k, v in torch.load(weights, map_location="cpu").items()}
    body.load_state_dict(checkpoint_filter_fn(state, body))
    with torch.no_grad():
        features = torch.cat([body(x) for x in train.split(25)])
    norm, head = nn.BatchNorm1d(features.shape[1], affine=False), nn.Linear(features.shape[1], 2)
    norm.running_mean, norm.running_var = features.mean(0), features.var(0)
    norm.eval()
    optimiser = torch.optim.Adam(head.parameters(), 1e-3, weight_decay=1e-2)
    labels = torch.arange(2).repeat_interleave(TRAIN)
    for _ in range(400):
        optimiser.zero_grad()
        F.cross_entropy(head(norm(features)), labels).backward()
        optimiser.step()
    scale = (norm.running_var + norm.eps).rsqrt()
    with torch.no_grad():  # one layer, with the features' scale in its weights
        head.bias -= head.weight @ (norm.running_mean * scale)
        head.weight *= scale
    return nn.Sequential(body, head).eval().requires_grad_(False)


def report(
    name: str, model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor, seconds: float
) -> None:
    tokens = F.avg_pool2d(maps.sum(1, keepdim=True), PATCH).flatten(1)
    kept = [margin(model, images, targets, tokens.argsort(1, descending=d)) for d in (False, True)]
    gain = kept[0] - kept[1]
    noise = (maps.abs().sum((1, 2, 3)) / maps.sum((1, 2, 3)).abs()).median()
    error = gain.std() / len(gain) ** 0.5
    print(
        f"{name:42s} gain {gain.mean():.2f} +- {error:.2f}  noise {noise:.1f}  {seconds:.1f} s",
        flush=True,
    )


@torch.no_grad()
def margin(model: nn.Module, images: Tensor, targets: Tensor, order: Tensor) -> Tensor:
    """The mean logit of the target minus the other one (n,), while patches go in this order."""
    left, found = torch.ones(len(images), GRID**2), []
    for places in order.split(STEP, 1):
        left.scatter_(1, places, 0.0)
        shown = images * F.interpolate(left.view(-1, 1, GRID, GRID), scale_factor=PATCH)
        logits = torch.cat([model(x) for x in shown.split(TEST)])
        pair = logits.gather(1, torch.stack([targets, 1 - targets], 1))
        found.append(pair[:, 0] - pair[:, 1])
    return torch.stack(found).mean(0)


if __name__ == "__main__":
    main()
