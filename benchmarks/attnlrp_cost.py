"""What AttnLRP costs beside a gradient: ViT-Tiny at 64 px, one thread, CPU time.

python benchmarks/attnlrp_cost.py
"""

import time

import timm
import torch

from explaindebug.attributions import Method
from explaindebug.attributions.attnlrp import AttnLRP
from explaindebug.attributions.gradient import Gradient

METHODS: dict[str, Method] = {
    "Grad": Gradient(),
    "AttnLRP": AttnLRP(),
    "attention=attnlrp": AttnLRP("attnlrp"),
    "gamma_linear=0.05": AttnLRP(gamma_linear=0.05),
}
ROUNDS = 15


def main() -> None:
    torch.set_num_threads(1)
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=5).eval()
    for n in (1, 8, 32):
        least = dict.fromkeys(METHODS, float("inf"))
        for _ in range(ROUNDS):  # in turn, so that another program's load meets all of them
            for name, method in METHODS.items():
                least[name] = min(least[name], seconds(method, model, n))
        told = (f"{name} {t * 1000:.0f} ms ({t / least['Grad']:.2f})" for name, t in least.items())
        print(f"{n} images: {', '.join(told)}")


def seconds(method: Method, model: torch.nn.Module, n: int) -> float:
    images, targets = torch.randn(n, 3, 64, 64), torch.zeros(n, dtype=torch.long)
    begun = time.process_time()
    method(model, images, targets)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
